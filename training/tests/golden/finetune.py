"""Writes finetune.json beside itself: the losses of fine-tuning as torch computes them in f64, with gradients with respect to the prediction.

Each objective is written as its source writes it, from rewards and votes, and not as the one formula with coefficients that Plaudit uses.

python training/tests/golden/finetune.py   (pip install -r tests/golden/requirements.txt)
"""

import json
from pathlib import Path

import torch

ROWS, LATENT = 5, (2, 3, 4)
BETA, GAMMA, BOUND, SCALE = 0.7, 0.3, 1.5, 4.0
KTO_BETA, KTO_WEIGHTS, BASELINE = 6.0, (1.0, 0.5), 0.15
PRETRAINING = 2  # the last rows are pre-training rows

generator = torch.Generator().manual_seed(0)


def drawn(*shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


noise, reference, predicted, empty = (drawn(ROWS, *LATENT) for _ in range(4))
reference = noise + 0.5 * reference
predicted = noise + 0.5 * predicted
own = ROWS - PRETRAINING
reward = torch.tensor([0.9, 0.2, 0.6], dtype=torch.float64)
mean = torch.tensor([0.55, 0.55, 0.6], dtype=torch.float64)
good = torch.tensor([True, False, True])


def error(one, other):
    return ((one - other) ** 2).flatten(1).mean(1)


def pretraining(theta):
    """Lee et al. 2023, section 4.3: plus beta times the mean error of the pre-training rows."""
    return BETA * error(theta[own:], noise[own:]).mean()


def reward_weighted(theta):
    return (reward * error(theta[:own], noise[:own])).mean() + pretraining(theta)


def centred(theta):
    return ((reward - mean) * error(theta[:own], noise[:own])).mean() + pretraining(theta)


def anchored(theta):
    return reward_weighted(theta) + GAMMA * error(theta[:own], reference[:own]).mean()


def signed_target(theta):
    """y = e_old + ((2 r - 1) / b) (e - e_old)."""
    step = ((2 * reward - 1) / BOUND)[:, None, None, None]
    target = reference[:own] + step * (noise[:own] - reference[:own])
    return error(theta[:own], target).mean() + pretraining(theta)


def kto(theta):
    """Diffusion-KTO: mean of lambda_y (1 - sigma(s beta (g - z0))), z0 given."""
    gain = error(reference[:own], noise[:own]) - error(theta[:own], noise[:own])
    sign = torch.where(good, 1.0, -1.0).double()
    weight = torch.where(good, *KTO_WEIGHTS).double()
    return (weight * (1 - torch.sigmoid(sign * KTO_BETA * (gain - BASELINE)))).mean() + pretraining(theta)


def guided(both):
    """Classifier-free guidance inside the loss for the model's own rows; pre-training rows stay conditional."""
    nothing, prompted = both
    scale = torch.tensor([SCALE] * own + [1.0] * PRETRAINING, dtype=torch.float64)[:, None, None, None]
    return reward_weighted(nothing + scale * (prompted - nothing))


def case(objective, *inputs):
    theta = torch.stack(inputs).requires_grad_() if len(inputs) > 1 else inputs[0].clone().requires_grad_()
    loss = objective(theta)
    loss.backward()
    return {"loss": loss.item(), "gradient": theta.grad.flatten().tolist()}


golden = {
    "made_by": f"training/tests/golden/finetune.py, torch {torch.__version__.split('+')[0]}",
    "rows": ROWS,
    "latent": LATENT,
    "pretraining": PRETRAINING,
    "beta": BETA,
    "gamma": GAMMA,
    "bound": BOUND,
    "scale": SCALE,
    "kto_beta": KTO_BETA,
    "kto_weights": KTO_WEIGHTS,
    "baseline": BASELINE,
    "reward": reward.tolist(),
    "mean": mean.tolist(),
    "good": good.tolist(),
    "noise": noise.flatten().tolist(),
    "reference": reference.flatten().tolist(),
    "predicted": predicted.flatten().tolist(),
    "empty": empty.flatten().tolist(),
    "cases": {
        "reward_weighted": case(reward_weighted, predicted),
        "centred": case(centred, predicted),
        "anchored": case(anchored, predicted),
        "signed_target": case(signed_target, predicted),
        "kto": case(kto, predicted),
        "guided": case(guided, empty, predicted),
    },
}
(Path(__file__).resolve().parent / "finetune.json").write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")
