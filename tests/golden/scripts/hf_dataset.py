"""Writes tests/golden/hf_dataset.parquet with Hugging Face's own library: python hf_dataset.py (datasets 5.2.0, pillow)."""

from pathlib import Path

import datasets
from PIL import Image

ROWS = [("ann", "up", 0.5), ("bob", "down", None), ("ann", None, None)]
WIDTH, HEIGHT = 5, 4


def picture(number):
    image = Image.new("RGB", (WIDTH, HEIGHT))
    image.putdata([(10 * x, 10 * y, number) for y in range(HEIGHT) for x in range(WIDTH)])
    return image


def main():
    rows = [
        {
            "image": picture(number),
            "extra": {"unknown": number},
            "rater": rater,
            "rating": rating,
            "skipped": None if rating else True,
            "weight": weight,
            "image_id": f"img_{number}",
            "prompt": "two blue stars",
            "model_version": "sd15@0123456789ab",
            "reward_version": None,
            "seed": 2**32 - 1 - number,
            "created": 1_790_000_000 + number,
            "sequence": number + 1,
        }
        for number, (rater, rating, weight) in enumerate(ROWS)
    ]
    features = datasets.Features(
        {name: datasets.Value("string") for name in ["rater", "rating", "image_id", "prompt", "model_version"]}
        | {"reward_version": datasets.Value("large_string"), "skipped": datasets.Value("bool")}
        | {"seed": datasets.Value("uint32"), "created": datasets.Value("int64"), "sequence": datasets.Value("int32")}
        | {"weight": datasets.Value("float32"), "image": datasets.Image(), "extra": {"unknown": datasets.Value("int8")}}
    )
    folder = Path(__file__).resolve().parent.parent
    datasets.Dataset.from_list(rows, features=features).to_parquet(folder / "hf_dataset.parquet")


main()
