"""Prints a directory of votes as `datasets` reads it: a JSON line a row, with the pixels of its picture."""

import json
import sys

import datasets

FIELDS_WITHOUT_VALUE = {"reasons": []}


def main(place):
    rows = datasets.load_dataset(place, split="train")
    assert isinstance(rows.features["image"], datasets.Image), rows.features
    for row in rows:
        picture = row.pop("image").convert("RGB")
        row["file_name"] = None
        row = {name: FIELDS_WITHOUT_VALUE.get(name) if value is None else value for name, value in row.items()}
        print(json.dumps({"row": row, "pixels": list(picture.tobytes())}))


main(sys.argv[1])
