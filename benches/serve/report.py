"""The tables of compare.py, in Markdown."""

import platform
import statistics

OVERHEAD = "overhead"
# Throughput that the project promises at eight clients, as a multiple of each side's.
PROMISED = {"diffusers": 2.8, "diffusers-8": 1.2, "optimum": 1.1, "plaudit-unbatched": 1.0}
# Of short requests among long ones: mean wait and p99, as a share of those without batching.
PROMISED_SHORT = 0.5
REFERENCE = 8


def closed_name(clients: int) -> str:
    return f"{clients} clients"


def open_name(share: float, rate: float) -> str:
    return f"Poisson, {rate:.2f}/s ({share:g}×)"


def quantile(values: list[float], share: float) -> float:
    """The smallest value that at least this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]


def whole(kept: dict, peaks: dict, chosen) -> str:
    alone = medians_alone(kept)
    loads = list(dict.fromkeys(kind for _, kind in kept if kind != OVERHEAD))
    parts = [heading(chosen)]
    for kind in loads:
        parts.append(table(kind, [measured for (_, its), measured in kept.items() if its == kind], alone, chosen.steps[0]))
    parts += [overheads(kept, peaks), ratios(kept, chosen.quick), short_ratios(kept, alone, loads, chosen)]
    return "\n\n".join(part for part in parts if part)


def heading(chosen) -> str:
    steps = ", ".join(map(str, chosen.steps))
    quick = " QUICK: these figures mean nothing." if chosen.quick else ""
    return f"Steps {steps} mixed, guidance on, euler, {chosen.threads} threads, {chosen.rounds} rounds, {platform.machine()}.{quick}"


def medians_alone(kept: dict) -> dict:
    """Median seconds by side and steps, with one client."""
    alone = {}
    for (side, kind), measured in kept.items():
        if kind == closed_name(1):
            for steps in {answer.steps for run in measured.runs for answer in run.answers}:
                alone[side, steps] = statistics.median(seconds for run in measured.runs for seconds in run.good(steps))
    return alone


def waits(measured, alone: dict, steps: int | None = None) -> list[float]:
    answers = [answer for run in measured.runs for answer in run.answers if answer.status == 200 and steps in (None, answer.steps)]
    return [answer.seconds - alone.get((measured.side, answer.steps), 0.0) for answer in answers]


def table(kind: str, rows: list, alone: dict, short: int) -> str:
    lines = [
        f"### {kind}",
        f"| side | requests/s | p50 s | p95 s | p99 s | wait s | {short} steps: wait s | p99 s | rows a call | refused | p99 s | timed out | generator's CPU |",
        "|---|" + "---:|" * 12,
    ]
    return "\n".join(lines + [row(measured, alone, short) for measured in rows])


def row(measured, alone: dict, short: int) -> str:
    answers = [answer for run in measured.runs for answer in run.answers]
    good = [seconds for run in measured.runs for seconds in run.good()]
    shorts = [seconds for run in measured.runs for seconds in run.good(short)]
    refused = [answer for answer in answers if answer.status not in (0, 200)]
    speed = statistics.median(len(run.good()) / run.seconds for run in measured.runs)
    busy = sum(run.generator_cpu for run in measured.runs) / sum(run.seconds for run in measured.runs)
    told = sum(answer.retry_after for answer in refused)
    cells = [
        f"{speed:.2f}",
        *(seconds_of(good, share) for share in (0.5, 0.95, 0.99)),
        mean_of(waits(measured, alone)),
        mean_of(waits(measured, alone, short)),
        seconds_of(shorts, 0.99),
        f"{measured.rows / measured.calls:.2f}" if measured.calls else "",
        f"{len(refused)} ({told} with Retry-After)" if refused else "0",
        seconds_of([answer.seconds for answer in refused], 0.99),
        str(sum(answer.status == 0 for answer in answers)),
        f"{100 * busy:.1f} %",
    ]
    return f"| {measured.side} | " + " | ".join(cells) + " |"


def seconds_of(values: list[float], share: float) -> str:
    return f"{quantile(values, share):.3f}" if values else ""


def mean_of(values: list[float]) -> str:
    return f"{statistics.mean(values):.3f}" if values else ""


def overheads(kept: dict, peaks: dict) -> str:
    """Of a request of one step: everything but text encoder, UNet and VAE."""
    lines = ["### One client, one step", "| side | request ms | models ms | everything else ms | peak MiB of the whole run |", "|---|---:|---:|---:|---:|"]
    for (side, kind), measured in kept.items():
        if kind == OVERHEAD:
            good = [seconds for run in measured.runs for seconds in run.good()]
            whole_ms, model_ms = 1e3 * statistics.mean(good), 1e3 * measured.model_seconds / len(good)
            lines.append(f"| {side} | {whole_ms:.2f} | {model_ms:.2f} | {whole_ms - model_ms:.2f} | {peaks[side]:.0f} |")
    return "\n".join(lines)


def throughput(measured) -> float:
    return statistics.median(len(run.good()) / run.seconds for run in measured.runs)


def ratios(kept: dict, quick: bool) -> str:
    kind = closed_name(REFERENCE)
    ours = kept.get(("plaudit", kind))
    if not ours:
        return ""
    lines = [f"### Throughput with {REFERENCE} clients"]
    for side, promised in PROMISED.items():
        if (side, kind) in kept:
            ratio = throughput(ours) / throughput(kept[side, kind])
            verdict = "not judged" if quick else "kept" if ratio >= promised else "NOT kept"
            lines.append(f"- plaudit: {ratio:.2f} × {side} (promised: {promised}; {verdict})")
    return "\n".join(lines)


def short_ratios(kept: dict, alone: dict, loads: list[str], chosen) -> str:
    """Short requests among long ones, against the engine without batching."""
    short = chosen.steps[0]
    lines = [f"### Requests of {short} steps among longer ones: plaudit / plaudit-unbatched (promised at {REFERENCE} clients: at most {PROMISED_SHORT})"]
    for kind in loads:
        pair = [kept.get((side, kind)) for side in ("plaudit", "plaudit-unbatched")]
        if all(pair):
            lone = [waits(measured, alone, short) for measured in pair]
            tails = [[seconds for run in measured.runs for seconds in run.good(short)] for measured in pair]
            if all(lone) and statistics.mean(lone[1]) > 0:
                mean = statistics.mean(lone[0]) / statistics.mean(lone[1])
                tail = quantile(tails[0], 0.99) / quantile(tails[1], 0.99)
                verdict = ""
                if kind == closed_name(REFERENCE) and not chosen.quick:
                    verdict = " (kept)" if max(mean, tail) <= PROMISED_SHORT else " (NOT kept)"
                lines.append(f"- {kind}: mean wait {mean:.2f}, p99 {tail:.2f}{verdict}")
    return "\n".join(lines) if len(lines) > 1 else ""
