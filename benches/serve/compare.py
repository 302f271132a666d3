"""Plaudit's server beside diffusers and optimum behind FastAPI, and beside itself without batching: same weights, requests, threads, machine, one run.

    python benches/serve/compare.py --plaudit target/release/plaudit --optimum-python .venv-optimum/bin/python --json serve.json
    python benches/serve/compare.py --quick …       a few requests, to see that everything runs; its figures mean nothing

Sides: plaudit; plaudit-unbatched (--engine-max-rows 2: one guided picture at a time); diffusers (one request at a time); diffusers-8 (up to eight alike in
one call); optimum (ONNX Runtime, one at a time). All servers are loaded at once and take turns; those whose turn it is not stand still.

1. Closed loop: 1, 2, 4, 8, 16 clients, each asks again when it has its answer; pictures of 10, 20 and 40 steps mixed.
2. Open loop: requests come as a Poisson process at given shares of plaudit's own closed-loop throughput at eight clients. Above 1 is overload: every
   request says how long it can wait (X-Request-Timeout), and its client leaves then.
3. Overhead: one client, pictures of one step; time of the request less time inside the models.

Seconds are end to end over HTTP with PNG and base64, from when a request was due. p50, p95, p99 are over all rounds' requests; requests/s is the median round's.
`wait` is the mean of a request's time less the median of its own kind (steps) with one client on the same side: what the company of others costs.
"""

import argparse
import functools
import json
import signal
import statistics
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import load
import report
import sides

SIDES = "plaudit,plaudit-unbatched,diffusers,diffusers-8,optimum"
SEED = 2026
# For each kind of load enough requests that each client has several, and p99 some meaning.
LEAST_REQUESTS, REQUESTS_A_CLIENT = 32, 8
OVERHEAD_REQUESTS = 40
REFERENCE_CLIENTS = 8


@dataclass
class Measured:
    """One side under one load: its rounds, and what /metrics said about them."""

    side: str
    load: str
    runs: list[load.Run] = field(default_factory=list)
    rows: float = 0.0
    calls: float = 0.0
    model_seconds: float = 0.0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pack", type=Path, default=Path("onnx/packs/miniature"))
    parser.add_argument("--plaudit", type=Path, default=Path("target/release/plaudit"))
    parser.add_argument("--optimum-python", type=Path, help="a Python with optimum-onnx, fastapi, uvicorn; without it that side is left out")
    parser.add_argument("--device", default="cpu", help="of our sides; peers compute on the processor")
    parser.add_argument("--sides", default=SIDES)
    parser.add_argument("--steps", type=json.loads, default=[10, 20, 40], help="the mix; the first counts as short")
    parser.add_argument("--clients", type=json.loads, default=[1, 2, 4, 8, 16])
    parser.add_argument("--shares", type=json.loads, default=[0.5, 0.8, 5.0], help="arrival rates of the open loop, of plaudit's throughput")
    parser.add_argument("--arrivals", type=int, default=120, help="requests of an open loop; times the share under overload")
    parser.add_argument("--requests", type=int, help="requests of a closed loop; default: 8 a client, 32 at least")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds after which a client leaves")
    parser.add_argument("--deadline", type=float, default=10.0, help="seconds, told to the server, after which clients leave under overload")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write every figure here")
    parser.add_argument("--quick", action="store_true", help="a few requests of a few steps")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.steps, chosen.clients, chosen.shares = [1, 2, 4], [1, 8], [0.8, 5.0]
        chosen.arrivals, chosen.requests, chosen.rounds = 6, 8, 1
    return chosen


def one(side, kind: str, loads, timeout: float, kept: dict, deadline: float | None = None) -> load.Run:
    """Measures a side once and adds the run to what is kept of it."""
    measured = kept.setdefault((side.name, kind), Measured(side.name, kind))
    with side.awake():
        side.wait_until_idle()
        before = side.metrics()
        run = load.measure(side.url, loads, timeout, deadline)
        after = side.metrics()
        side.wait_until_idle()
    measured.runs.append(run)
    measured.rows += difference(before, after, "plaudit_step_rows_sum")
    measured.calls += difference(before, after, "plaudit_step_rows_count")
    stages = [f'plaudit_stage_seconds_sum{{stage="{stage}"}}' for stage in ("text", "steps", "decode")]
    inside = sum(difference(before, after, stage) for stage in stages)
    measured.model_seconds += inside or sum(answer.model_seconds or 0.0 for answer in run.answers)
    return run


def difference(before: dict, after: dict, name: str) -> float:
    return after.get(name, 0.0) - before.get(name, 0.0)


def closed(started, chosen, kept) -> None:
    for turn in range(chosen.rounds):
        for clients in chosen.clients:
            count = chosen.requests or max(LEAST_REQUESTS, REQUESTS_A_CLIENT * clients)
            waiting = load.asks(count, chosen.steps, SEED + turn)
            loads = functools.partial(load.closed_loop, waiting=waiting, concurrency=clients)
            for side in started:
                said(one(side, report.closed_name(clients), loads, chosen.timeout, kept), side, f"{clients} clients")


def open_loops(started, chosen, kept) -> None:
    reference = kept.get((started[0].name, report.closed_name(REFERENCE_CLIENTS)))
    if not reference:
        print(f"left out: open loops (they need a closed loop with {REFERENCE_CLIENTS} clients)")
        return
    throughput = statistics.median(len(run.good()) / run.seconds for run in reference.runs)
    for turn in range(chosen.rounds):
        for share in chosen.shares:
            rate, count = share * throughput, round(chosen.arrivals * max(1.0, share))
            waiting = load.asks(count, chosen.steps, SEED + 100 + turn)
            loads = functools.partial(load.open_loop, waiting=waiting, rate=rate, seed=SEED + turn)
            deadline = chosen.deadline if share > 1 else None
            for side in started:
                run = one(side, report.open_name(share, rate), loads, chosen.timeout, kept, deadline)
                said(run, side, f"{rate:.2f} requests/s")


def overhead(started, chosen, kept) -> None:
    count = 3 if chosen.quick else OVERHEAD_REQUESTS
    for turn in range(chosen.rounds):
        loads = functools.partial(load.closed_loop, waiting=load.asks(count, [1], SEED + 200 + turn), concurrency=1)
        for side in started:
            said(one(side, report.OVERHEAD, loads, chosen.timeout, kept), side, "overhead")


def said(run: load.Run, side, what: str) -> None:
    print(f"  {side.name}, {what}: {len(run.good())} of {len(run.answers)} in {run.seconds:.1f} s", file=sys.stderr, flush=True)


def warm_up(started, chosen) -> None:
    for side in started:
        loads = functools.partial(load.closed_loop, waiting=load.asks(8, chosen.steps[:1], 0), concurrency=8)
        one(side, "warm-up", loads, chosen.timeout, {})


def main():
    chosen, kept = arguments(), {}
    # So that an interrupted bench leaves no server behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    with sides.running(chosen) as started:
        if not started:
            sys.exit("none of these sides can run")
        warm_up(started, chosen)
        closed(started, chosen, kept)
        open_loops(started, chosen, kept)
        overhead(started, chosen, kept)
        peaks = {side.name: side.peak_mib() for side in started}
    print(report.whole(kept, peaks, chosen))
    if chosen.json:
        rows = [asdict(measured) for measured in kept.values()]
        chosen.json.write_text(json.dumps({"peak_mib": peaks, "measured": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
