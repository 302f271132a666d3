"""Writes prompt_classification.json beside itself: the auxiliary loss of Lee et al. 2023 (section 4.2) as torch computes it, with gradients.

python training/tests/golden/prompt_classification.py   (pip install -r tests/golden/requirements.txt)
"""

import json
from pathlib import Path

import torch

ROWS, PROMPTS, TEMPERATURE, ABSENT = 5, 10, 2.0, -1e4

generator = torch.Generator().manual_seed(0)
rewards = torch.rand(ROWS, PROMPTS, generator=generator).requires_grad_()
good = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.5])
absent = torch.zeros(ROWS, PROMPTS)
absent[2, 4:] = ABSENT  # this row has three contrasts only

# One row at a time, with cross_entropy over the prompts that are there: no masks.
losses = []
for row in range(ROWS):
    there = absent[row] == 0
    logits = rewards[row][there] / TEMPERATURE
    losses.append(good[row] * torch.nn.functional.cross_entropy(logits[None], torch.tensor([0])))
loss = torch.stack(losses).sum() / max(good.sum().item(), 1.0)
loss.backward()

golden = {
    "made_by": f"training/tests/golden/prompt_classification.py, torch {torch.__version__}",
    "temperature": TEMPERATURE,
    "shape": [ROWS, PROMPTS],
    "rewards": rewards.flatten().tolist(),
    "absent": absent.flatten().tolist(),
    "good": good.tolist(),
    "loss": loss.item(),
    "gradient": rewards.grad.flatten().tolist(),
}
(Path(__file__).resolve().parent / "prompt_classification.json").write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")
