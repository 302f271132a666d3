"""Writes tokenizer.json beside itself: what transformers' CLIPTokenizer makes of some texts with the miniature pack's files.

python training/tests/golden/tokenizer.py   (pip install -r tests/golden/requirements.txt)
"""

import json
from pathlib import Path

import transformers

HERE = Path(__file__).resolve().parent
PACK = HERE.parents[2] / "onnx/packs/miniature/tokenizer"
TEXTS = [
    "", "a star", "two blue stars on the beach", "Six  ORANGE fish, in the woods.", "a picture of an umbrella at night",
    "three purple unicorns juggling 17 teacups", "one fish's hat & 2 mugs!", "naïve café ☕ 星 🌟", "don't we'll they've",
    "five pink flowers in a snowy field " * 4, "<|startoftext|> a cat <|endoftext|> dog", "a\tcat\nin the\u00a0city",
]

tokenizer = transformers.CLIPTokenizer.from_pretrained(PACK)
rows = [
    {"text": text, "ids": tokenizer(text, padding="max_length", truncation=True, max_length=tokenizer.model_max_length)["input_ids"]}
    for text in TEXTS
]
lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
head = json.dumps(f"training/tests/golden/tokenizer.py, transformers {transformers.__version__}")
(HERE / "tokenizer.json").write_text(f'{{"made_by": {head}, "rows": [\n{lines}\n]}}\n', encoding="utf-8")
