"""What the server promises under bad weather, each with its figure, against a server of its own on this machine.

    python benches/promises/run.py                           every promise but the long soak; about six minutes on two quiet cores
    python benches/promises/run.py deadlines leavers         some of them
    python benches/promises/run.py soak --minutes 30

PLAUDIT: the binary (default target/release/plaudit). Needs tests/clients/requirements.txt. Ends with 1 if a promise is broken.
"""

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "serve"), str(HERE.parent.parent / "tests/clients")]

import bodies  # noqa: E402
import queueing  # noqa: E402
import running  # noqa: E402

PROMISES = {
    "warm": running.warm,
    "shutdown": running.shutdown,
    "overload": queueing.overload,
    "deadlines": queueing.deadlines,
    "leavers": queueing.leavers,
    "drippers": bodies.drippers,
    "large": bodies.large,
    "bombs": bodies.bombs,
    "soak": running.soak,
}


@dataclass(frozen=True)
class Setting:
    """What a promise is tried with."""

    binary: Path
    minutes: float
    scale: float

    def count(self, whole: int) -> int:
        return max(1, int(whole * self.scale))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("promises", nargs="*", metavar="PROMISE", help=", ".join(PROMISES))
    parser.add_argument("--minutes", type=float, default=1.0, help="of the soak")
    parser.add_argument("--scale", type=float, default=1.0, help="share of all requests; below 1 to see that everything runs")
    chosen = parser.parse_args()
    unknown = set(chosen.promises) - set(PROMISES)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(PROMISES)}")
    setting = Setting(Path(os.environ.get("PLAUDIT", "target/release/plaudit")), chosen.minutes, chosen.scale)
    broken = 0
    for name in chosen.promises or PROMISES:
        for what, measured, promised, kept in PROMISES[name](setting):
            broken += not kept
            print(f"| {name} | {what} | {measured} | {promised} | {'kept' if kept else 'BROKEN'} |", flush=True)
    print(f"promises: {broken} broken")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
