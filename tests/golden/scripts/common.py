"""Paths and file helpers that the fixture scripts share."""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")
ROOT = Path(__file__).resolve().parents[3]
GOLDEN = ROOT / "tests/golden"
GRADIENTS = ROOT / "training/tests/golden"
sys.path.insert(0, str(ROOT / "onnx"))


def write_json_rows(path: Path, rows: list) -> None:
    """A JSON list with one element a line, for readable diffs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
