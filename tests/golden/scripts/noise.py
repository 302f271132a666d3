"""torch.randn on the CPU, for several seeds, sizes and histories: noise.json and noise.safetensors."""

import common
import torch
from safetensors.torch import save_file

SEEDS = [0, 7, 2147483647, 4294967295]
EVERY_SIZE = range(1, 41)  # below 16 torch draws one by one, from 16 on in blocks of 16 with a redrawn tail
SHAPES = [[5], [15], [16], [17], [33], [1, 4, 8, 8], [1, 4, 5, 7], [1, 4, 9, 13], [1, 4, 8, 12]]
LARGE = [(7, [1, 4, 64, 64]), (0, [1, 4, 96, 64])]
HISTORIES = [
    ([[1, 4, 8, 8]], [1, 4, 8, 8]),
    ([[1, 4, 8, 8], [1, 4, 8, 8]], [1, 4, 8, 8]),
    ([[3]], [20]),
    ([[20]], [3]),
    ([[3], [2]], [5]),
    ([[17]], [15]),
    ([[1, 4, 5, 7]], [1, 4, 5, 7]),
]


def cases():
    for size in EVERY_SIZE:
        yield {"seed": 7, "shape": [size]}
    for seed in SEEDS:
        for shape in SHAPES:
            yield {"seed": seed, "shape": shape}
    for seed, shape in LARGE:
        yield {"seed": seed, "shape": shape}
    for after, shape in HISTORIES:
        yield {"seed": 7, "shape": shape, "after": after}


def draw(case):
    generator = torch.Generator("cpu").manual_seed(case["seed"])
    for shape in case.get("after", []):
        torch.randn(shape, generator=generator)
    return torch.randn(case["shape"], generator=generator)


def main():
    rows, tensors = [], {}
    for index, case in enumerate(cases()):
        key = f"{index:03}"
        rows.append(case | {"key": key})
        tensors[key] = draw(case)
    common.write_json_rows(common.GOLDEN / "noise.json", rows)
    save_file(tensors, common.GOLDEN / "noise.safetensors")
    print(f"noise: {len(rows)} cases")


if __name__ == "__main__":
    main()
