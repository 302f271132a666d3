"""Pictures for people while `plaudit serve --with-training` learns: the same server with its trainer at work and standing still, in turns within one run.

    python benches/while_training/run.py --json while.json
    python benches/while_training/run.py --quick          a few requests, to see that everything runs; its figures mean nothing

Votes are cast over HTTP until the trainer, a child of the server with the server's own niceness setting, tunes the denoiser. From then on windows alternate: the
trainer is stopped (SIGSTOP), and goes on (SIGCONT), under the same requests. Loads: closed loops, where each client asks again at once, and requests that
come as a Poisson process at half of what the calm server draws. p50 and p99 are of all windows' requests, end to end over HTTP; ratios are training to calm.
Needs httpx. `plaudit-train` is looked for beside `plaudit`.
"""

import argparse
import contextlib
import functools
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "serve"), str(HERE.parent.parent / "tests/clients")]

import httpx  # noqa: E402
import load  # noqa: E402
import report  # noqa: E402
import server  # noqa: E402

OPEN = ["--limits-rate", "0", "--limits-sessions", "0", "--feedback-rate", "0", "--allow-anonymous", "--with-training", "--device", "cpu"]
RATERS, VOTES = 8, 3
SEED = 2026
OPEN_SHARE = 0.5
PATIENCE = 900
# As few votes and reward steps as a round can do with: what is measured is tuning, which goes on for longer than the bench.
TRAINER = {
    "PLAUDIT_TRAIN_POLL": "1",
    "PLAUDIT_TRAIN_LEASE": "3600",
    "PLAUDIT_TRAIN_KEEP_REWARD": "true",
    "PLAUDIT_TRAIN_REWARD_STEPS": "20",
    "PLAUDIT_TRAIN_TUNE_STEPS": "1000000",
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--plaudit", type=Path, default=Path("target/release/plaudit"))
    parser.add_argument("--pack", type=Path, default=Path("onnx/packs/miniature"))
    parser.add_argument("--prompts", type=int, default=60, help="that are voted on, two pictures each, three votes a picture")
    parser.add_argument("--steps", type=json.loads, default=[10, 20], help="the mix of the requests")
    parser.add_argument("--clients", type=json.loads, default=[1, 4], help="of the closed loops")
    parser.add_argument("--requests", type=int, default=60, help="of a window")
    parser.add_argument("--rounds", type=int, default=3, help="windows of each kind and load")
    parser.add_argument("--niceness", type=int, default=19, help="of the trainer; the server's own default")
    parser.add_argument("--json", type=Path, help="also write every figure here")
    parser.add_argument("--quick", action="store_true", help="a few requests of a few steps")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.steps, chosen.requests, chosen.rounds = [2], 8, 1
    return chosen


def vote(url: str, key: str, prompts: int) -> int:
    """Each prompt's first picture pleases everybody, its second nobody."""
    count = 0
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=120) as client:
        asks = load.asks(4 * prompts, [2], SEED)
        for at, ask in enumerate([ask for ask in asks if not ask.prompt.startswith("one")][:prompts]):
            answer = client.post("/v1/images/generations", json=ask.body() | {"n": 2}).raise_for_status().json()
            pictures = zip(answer["data"], ["up", "down"], strict=True)
            items = [
                {"image_id": picture["image_id"], "rating": rating, "rater": f"rater-{(at + turn) % RATERS}"} for picture, rating in pictures for turn in range(VOTES)
            ]
            client.post("/v1/feedback", json={"items": items}).raise_for_status()
            count += len(items)
    return count


class Trainer:
    """The server's child: its steps, its time, and whether it stands still."""

    def __init__(self, parent: int, data: Path):
        self.steps_file = data / "runs/round-1/tune/run/metrics.jsonl"
        self.process = until("a trainer", lambda: next(children(parent), None))

    def steps(self) -> int:
        return len(self.steps_file.read_text(encoding="utf-8").splitlines()) if self.steps_file.exists() else 0

    def seconds(self) -> float:
        """Of processor time."""
        fields = Path(f"/proc/{self.process}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @contextlib.contextmanager
    def standing(self, still: bool):
        os.kill(self.process, signal.SIGSTOP if still else signal.SIGCONT)
        try:
            yield
        finally:
            os.kill(self.process, signal.SIGCONT)


def children(parent: int):
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, fields = path.read_text(encoding="utf-8").rsplit(")", 1)
            if "plaudit-train" in name and int(fields.split()[1]) == parent:
                yield int(path.parent.name)


def until(what: str, find):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := find():
            return found
        time.sleep(0.2)
    raise RuntimeError(f"there never was {what}")


def windows(url: str, trainer: Trainer, name: str, make_load, rounds: int) -> dict:
    """Calm and training in turns, each round with requests of its own."""
    runs = {"calm": [], "training": []}
    steps = seconds = elapsed = 0.0
    for turn in range(rounds):
        for kind in runs:
            with trainer.standing(kind == "calm"):
                before = trainer.steps(), trainer.seconds()
                run = load.measure(url, make_load(turn), 300)
                if kind == "training":
                    steps, seconds, elapsed = steps + trainer.steps() - before[0], seconds + trainer.seconds() - before[1], elapsed + run.seconds
            runs[kind].append(run)
            print(f"{name}, {kind}: {len(run.good())} of {len(run.answers)} pictures in {run.seconds:.1f} s", file=sys.stderr)
    figures = {kind: figure(its) for kind, its in runs.items()}
    ratios = {of: figures["training"][of] / figures["calm"][of] for of in ("p50", "p99", "pictures_per_second")}
    return {"load": name, **figures, "ratio": ratios, "trainer": {"steps_per_second": steps / elapsed, "cores": seconds / elapsed}}


def figure(runs: list) -> dict:
    good = [seconds for run in runs for seconds in run.good()]
    failed = sum(len(run.answers) for run in runs) - len(good)
    rate = statistics.median(len(run.good()) / run.seconds for run in runs)
    return {"requests": len(good), "failed": failed, "p50": report.quantile(good, 0.5), "p99": report.quantile(good, 0.99), "pictures_per_second": rate}


def measure(url: str, trainer: Trainer, chosen) -> list[dict]:
    def asks(turn):
        return load.asks(chosen.requests, chosen.steps, SEED + turn)

    measured = []
    for clients in chosen.clients:
        closed = lambda turn, clients=clients: functools.partial(load.closed_loop, waiting=asks(turn), concurrency=clients)  # noqa: E731
        measured.append(windows(url, trainer, report.closed_name(clients), closed, chosen.rounds))
    rate = OPEN_SHARE * measured[-1]["calm"]["pictures_per_second"]
    poisson = lambda turn: functools.partial(load.open_loop, waiting=asks(turn), rate=rate, seed=SEED + turn)  # noqa: E731
    measured.append(windows(url, trainer, report.open_name(OPEN_SHARE, rate), poisson, chosen.rounds))
    return measured


def alone(trainer: Trainer, seconds: float) -> float:
    """Steps a second where nobody asks for anything."""
    before = trainer.steps()
    time.sleep(seconds)
    return (trainer.steps() - before) / seconds


def line(one: dict) -> str:
    pairs = [f"{one['calm'][of]:.3f} | {one['training'][of]:.3f} | {one['ratio'][of]:.2f}×" for of in ("p50", "p99", "pictures_per_second")]
    return f"| {one['load']} | {' | '.join(pairs)} | {one['calm']['failed'] + one['training']['failed']} | {one['trainer']['steps_per_second']:.2f} |"


def main():
    chosen = arguments()
    votes = chosen.prompts * 2 * VOTES
    counts = {"PLAUDIT_TRAIN_NEW_VOTES": str(votes), "PLAUDIT_TRAIN_MIN_VOTES": str(votes), "PLAUDIT_TRAIN_LISTEN": "127.0.0.1:0"}
    os.environ.update(TRAINER | counts)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        options = [*OPEN, "--pack", str(chosen.pack), "--training-niceness", str(chosen.niceness)]
        with server.serving(chosen.plaudit, *options, data=data) as (url, key, process):
            trainer = Trainer(process.pid, data)
            print(f"{vote(url, key, chosen.prompts)} votes; the trainer begins", file=sys.stderr)
            until("tuning", lambda: trainer.steps() > 2)
            undisturbed = alone(trainer, 2 if chosen.quick else 20)
            measured = measure(url, trainer, chosen)
    result = {"load_average_at_end": os.getloadavg()[0], "cores": os.cpu_count(), "niceness": chosen.niceness, "steps_per_second_alone": undisturbed, "loads": measured}
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{'QUICK: these figures mean nothing. ' if chosen.quick else ''}Niceness {chosen.niceness}; the trainer alone takes {undisturbed:.2f} steps/s.\n")
    print("| load | p50 calm | training | | p99 calm | training | | pictures/s calm | training | | failed | steps/s |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    print("\n".join(map(line, measured)))


if __name__ == "__main__":
    main()
