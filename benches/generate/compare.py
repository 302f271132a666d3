"""`plaudit generate` against diffusers and optimum's ONNX Runtime pipeline: same weights, prompts, steps, guidance, threads and machine, one run.

    python benches/generate/compare.py --pack onnx/packs/miniature --plaudit target/release/plaudit --optimum-python .venv-optimum/bin/python

Each side is a process of its own, in turns, so that whatever else the machine does hits all. Loading and the first prompt (warm-up) are left out for all alike:
the peers time each prompt themselves, from its text to its PNG files; for plaudit it is the difference between a process of many prompts and one of a single prompt.
Printed: medians over the rounds of seconds per image, images per second, seconds of a whole process that draws a single prompt, and peak MiB (ru_maxrss).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
PROMPTS = HERE.parents[1] / "examples/twelve.txt"
PROMPT_COUNTS = {1: 9, 16: 3}  # n: prompts in the long process


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pack", type=Path, default=Path("onnx/packs/miniature"))
    parser.add_argument("--plaudit", type=Path, default=Path("target/release/plaudit"))
    parser.add_argument("--optimum-python", type=Path, help="a Python with optimum-onnx; without it that side is left out")
    parser.add_argument("--sides", default="plaudit,diffusers,optimum")
    parser.add_argument("--counts", type=json.loads, default=[1, 16])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=5.0)
    parser.add_argument("--scheduler", default="euler")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write every measurement here")
    return parser.parse_args()


def prepare(chosen, work: Path) -> dict[str, list]:
    """The command of each side, up to its common options; exports what the peers need, outside the measurements."""
    sides = {"plaudit": [chosen.plaudit, "generate", "--pack", chosen.pack]}
    wanted = chosen.sides.split(",")
    checkpoint, exported = work / "checkpoint", work / "optimum"
    if {"diffusers", "optimum"} & set(wanted):
        subprocess.run([sys.executable, HERE / "checkpoint.py", chosen.pack, checkpoint], check=True)
    sides["diffusers"] = [sys.executable, HERE / "peer.py", "diffusers", checkpoint]
    if chosen.optimum_python and "optimum" in wanted:
        command = [chosen.optimum_python, "-m", "optimum.exporters.onnx", "--model", checkpoint, "--task", "text-to-image", exported]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        sides["optimum"] = [chosen.optimum_python, HERE / "peer.py", "optimum", exported]
    return {name: sides[name] for name in wanted if name in sides}


def measure(command: list, environment: dict) -> tuple[float, float, str]:
    """Wall seconds, peak resident MiB and standard output of one process."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as output:
        process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=errors, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    if process.returncode:
        sys.exit(f"failed: {' '.join(map(str, command))}\n{texts[1][-4000:]}")
    return seconds, usage.ru_maxrss / 1024, texts[0]


def prompts_file(work: Path, count: int) -> Path:
    lines = PROMPTS.read_text(encoding="utf-8").splitlines()
    path = work / f"prompts-{count}.txt"
    path.write_text("\n".join(lines[i % len(lines)] for i in range(count)) + "\n", encoding="utf-8")
    return path


def one_round(command: list, n: int, chosen, work: Path) -> dict:
    environment = os.environ | {"OMP_NUM_THREADS": str(chosen.threads)}
    options = ["-n", n, "--steps", chosen.steps, "--guidance", chosen.guidance, "--scheduler", chosen.scheduler]
    options += ["--seed", 7, "--threads", chosen.threads, "-o", work / "images"]
    count = PROMPT_COUNTS.get(n, 2)
    single, _, _ = measure([*command, "--prompts", prompts_file(work, 1), *options], environment)
    whole, peak, output = measure([*command, "--prompts", prompts_file(work, count), *options], environment)
    each = own_times(output) or (whole - single) / (count - 1)
    return {"seconds_per_image": each / n, "process": single, "peak_mib": peak}


def own_times(output: str) -> float | None:
    """The median of the times that a peer printed for its prompts, without the first."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    return statistics.median(json.loads(lines[-1])["seconds"][1:]) if lines else None


def report(results: dict) -> str:
    lines = ["| side | n | s per image | images/s | one prompt from start, s | peak MiB |", "|---|---:|---:|---:|---:|---:|"]
    for (side, n), rounds in results.items():
        middle = {key: statistics.median(row[key] for row in rounds) for key in rounds[0]}
        each = middle["seconds_per_image"]
        lines.append(f"| {side} | {n} | {each:.3f} | {1 / each:.2f} | {middle['process']:.2f} | {middle['peak_mib']:.0f} |")
    return "\n".join(lines)


def ratios(results: dict) -> str:
    speed = {key: statistics.median(row["seconds_per_image"] for row in rounds) for key, rounds in results.items()}
    return "\n".join(
        f"plaudit at n = {n}: {speed[(side, n)] / speed[('plaudit', n)]:.2f} × {side}'s speed"
        for side, n in results
        if side != "plaudit" and ("plaudit", n) in results
    )


def main():
    chosen = arguments()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        sides = prepare(chosen, work)
        for _ in range(chosen.rounds):
            for n in chosen.counts:
                for side, command in sides.items():
                    results.setdefault((side, n), []).append(one_round(command, n, chosen, work))
    print(f"{chosen.steps} steps, guidance {chosen.guidance}, {chosen.scheduler}, {chosen.threads} threads, median of {chosen.rounds}")
    print(report(results))
    print(ratios(results))
    if chosen.json:
        rows = [{"side": side, "n": n} | row for (side, n), rounds in results.items() for row in rounds]
        chosen.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
