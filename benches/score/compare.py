"""Scoring against transformers' CLIP in PyTorch (and infinity-emb): same weights, pictures, prompts, threads and machine, one run.

    cargo build --release --bench score && python benches/score/compare.py --plaudit target/release/deps/score-…

Each side is a process of its own, in turns, so that whatever else the machine does hits all. A request has one new prompt and `--batch` pictures; loading and the
first request are left out. Printed: medians over the rounds of pictures a second, the ratio of each pair of neighbours, and how far the scores are apart.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
# Scores are cosines: f32 kernels differ in the order of their sums.
FAR = 1e-3


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--plaudit", type=Path, help="the built bench `score`; by default the newest under target/release/deps")
    parser.add_argument("--pack", type=Path, default=Path("onnx/packs/miniature"))
    parser.add_argument("--infinity-python", type=Path, help="a Python with infinity-emb; without it that side is left out")
    parser.add_argument("--batches", type=json.loads, default=[1, 16])
    parser.add_argument("--requests", type=int, default=33)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write every measurement here")
    return parser.parse_args()


def newest() -> Path:
    found = [path for path in Path("target/release/deps").glob("score-*") if not path.suffix]
    if not found:
        sys.exit("build the bench first: cargo build --release --bench score")
    return max(found, key=lambda path: path.stat().st_mtime)


def one_run(command: list, batch: int, chosen) -> dict:
    options = ["--batch", batch, "--requests", chosen.requests, "--side", chosen.side, "--threads", chosen.threads]
    environment = os.environ | {"OMP_NUM_THREADS": str(chosen.threads)}
    done = subprocess.run([str(part) for part in [*command, *options]], capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"failed: {command}\n{done.stderr[-4000:]}")
    answer = json.loads(done.stdout.splitlines()[-1])
    return {"pictures_a_second": batch / statistics.median(answer["seconds"][1:]), "scores": answer["scores"]}


def report(results: dict) -> str:
    lines = ["| side | pictures a request | pictures/s | plaudit is faster, × (each round) | scores apart |", "|---|---:|---:|---|---:|"]
    for (side, batch), rounds in results.items():
        ours = results[("plaudit", batch)]
        speed = statistics.median(row["pictures_a_second"] for row in rounds)
        ratios = [a["pictures_a_second"] / b["pictures_a_second"] for a, b in zip(ours, rounds)]
        apart = max(abs(a - b) for a, b in zip(ours[0]["scores"], rounds[0]["scores"]))
        if apart > FAR:
            sys.exit(f"{side}'s scores are {apart} from plaudit's: not the same computation")
        shown = "" if side == "plaudit" else f"{statistics.median(ratios):.2f} ({', '.join(f'{ratio:.2f}' for ratio in ratios)})"
        lines.append(f"| {side} | {batch} | {speed:.1f} | {shown} | {apart:.1e} |")
    return "\n".join(lines)


def main():
    chosen = arguments()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        peer = HERE / "peer.py"
        sides = {"plaudit": [chosen.plaudit or newest(), "--pack", chosen.pack], "transformers": [sys.executable, peer, "transformers", "--pack", chosen.pack]}
        if chosen.infinity_python:
            subprocess.run([sys.executable, peer, "transformers", "--pack", chosen.pack, "--save", folder], check=True)
            sides["infinity"] = [chosen.infinity_python, peer, "infinity", "--pack", folder]
        for _ in range(chosen.rounds):
            for batch in chosen.batches:
                for side, command in sides.items():
                    results.setdefault((side, batch), []).append(one_run(command, batch, chosen))
    print(f"{chosen.threads} threads, pictures of {chosen.side}x{chosen.side}, median of {chosen.rounds}")
    print(report(results))
    if chosen.json:
        rows = [{"side": side, "batch": batch} | row for (side, batch), rounds in results.items() for row in rounds]
        chosen.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
