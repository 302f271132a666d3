"""AdamW's trajectory in PyTorch, with global-norm clipping and diffusers' weight average.

    python training/tests/golden/adamw/make.py

writes `case.json`: two parameters (a matrix that decays and a vector that does not), the gradients fed at each step, the rate of each step,
and parameters and averages after it.
"""
import json
import pathlib

import torch

STEPS, LIMIT, AVERAGE = 12, 1.0, 0.9
SHAPES = {"matrix": [3, 4], "vector": [5]}


def main():
    generator = torch.Generator().manual_seed(0)
    values = {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
    parameters = {name: torch.nn.Parameter(value.clone()) for name, value in values.items()}
    averages = {name: value.clone() for name, value in values.items()}
    groups = [
        {"params": [parameters["matrix"]], "weight_decay": 0.05},
        {"params": [parameters["vector"]], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.95), eps=1e-8, foreach=False)
    steps = []
    for step in range(STEPS):
        rate = 1e-2 / (1 + step)
        for group in optimiser.param_groups:
            group["lr"] = rate
        # The scale makes some steps clip and some not.
        scale = [0.05, 1.0, 4.0][step % 3]
        gradients = {name: scale * torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
        for name, gradient in gradients.items():
            parameters[name].grad = gradient.clone()
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), LIMIT)
        optimiser.step()
        decay = min(AVERAGE, (2 + step) / (11 + step))
        for name in averages:
            averages[name] += (parameters[name].detach() - averages[name]) * (1 - decay)
        flat = lambda tensors: {name: tensor.detach().flatten().tolist() for name, tensor in tensors.items()}
        steps.append({"rate": rate, "norm": norm.item(), "gradients": flat(gradients), "parameters": flat(parameters), "averages": flat(averages)})
    case = {"torch": torch.__version__, "shapes": SHAPES, "start": {n: v.flatten().tolist() for n, v in values.items()}, "steps": steps}
    pathlib.Path(__file__).with_name("case.json").write_text(json.dumps(case))


main()
