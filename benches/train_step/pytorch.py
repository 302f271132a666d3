"""The reference side of `benches/train_step`: diffusers' UNet, torch.optim.AdamW, eager, on the CPU.

Started by the bench. Writes {"seconds": 0, "loss"} of its first step after its warm-up; then, for each line it reads, takes one step and writes {"seconds", "loss"};
at the end of its input writes {"peak_mib", "before_mib", "cpu_seconds"}: peak resident memory, resident memory before the model was built, processor time of the
steps. Without --objective it is the mean squared error of ε from fresh weights; with one, fine-tuning of the weights beside the configuration on the batch of a file.
"""

import argparse
import collections
import copy
import json
import sys
import time
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file

WARM_UP = 2
TOKENS = 24
CLIP_NORM = 1.0
# As plaudit-train finetune has them.
GAMMA, KTO_SHARPNESS, KTO_WINDOW = 1.0, 5000.0, 8


def status_mib(key: str) -> float:
    with open("/proc/self/status", encoding="utf-8") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True, type=Path)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--objective", choices=["reward-weighted", "signed-target", "kto"])
    parser.add_argument("--batch-file", type=Path)
    return parser.parse_args()


def denoising(unet, config: dict, rows: int):
    """The mean squared error of ε, on fresh numbers."""
    size, width = config["sample_size"], config["cross_attention_dim"]

    def loss():
        sample, noise = torch.randn(2, rows, config["in_channels"], size, size)
        context = torch.randn(rows, TOKENS, width)
        timestep = torch.randint(0, 1000, (rows,))
        return torch.nn.functional.mse_loss(unet(sample, timestep, context).sample, noise)

    return loss


def row_errors(one, other):
    return ((one - other) ** 2).flatten(1).mean(1)


def tuning(unet, objective: str, batch: dict):
    """An objective of docs/finetune.md, written as its source writes it. The whole batch is one call, so KTO's z₀ needs no prediction of its own."""
    frozen = copy.deepcopy(unet).requires_grad_(False)
    sample, timestep, text, noise, reward = (batch[name] for name in ("sample", "timestep", "text", "noise", "reward"))
    gains = collections.deque(maxlen=KTO_WINDOW)

    def judged(predicted, reference):
        if objective == "reward-weighted":
            return reward * row_errors(predicted, noise)
        if objective == "signed-target":
            return row_errors(predicted, reference + (2 * reward - 1)[:, None, None, None] * (noise - reference))
        gain = row_errors(reference, noise) - row_errors(predicted, noise)
        gains.append(gain.detach().mean())
        baseline = torch.stack(list(gains)).mean().clamp(min=0)
        sign = torch.where(reward >= 0.5, 1.0, -1.0)
        return 1 - torch.sigmoid(sign * KTO_SHARPNESS * (gain - baseline))

    def loss():
        with torch.no_grad():
            reference = frozen(sample, timestep, text).sample
        predicted = unet(sample, timestep, text).sample
        return (judged(predicted, reference) + GAMMA * row_errors(predicted, reference)).mean()

    return loss


def main():
    chosen = arguments()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    before = status_mib("VmRSS")
    config = json.loads(chosen.config.read_text(encoding="utf-8"))
    unet = UNet2DConditionModel.from_config(config).train()
    if chosen.objective:
        unet.load_state_dict(load_file(chosen.config.with_name("model.safetensors")))
        loss_of = tuning(unet, chosen.objective, load_file(chosen.batch_file))
    else:
        loss_of = denoising(unet, config, chosen.batch)
    optimiser = torch.optim.AdamW(unet.parameters(), lr=1e-4)

    def step() -> float:
        loss = loss_of()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), CLIP_NORM)
        optimiser.step()
        return loss.item()

    first = step()
    for _ in range(1, WARM_UP):
        step()
    print(json.dumps({"seconds": 0.0, "loss": first}), flush=True)
    cpu = time.process_time()
    for _ in sys.stdin:
        began = time.perf_counter()
        loss = step()
        print(json.dumps({"seconds": time.perf_counter() - began, "loss": loss}), flush=True)
    cpu = time.process_time() - cpu
    print(json.dumps({"peak_mib": status_mib("VmHWM"), "before_mib": before, "cpu_seconds": cpu}))


main()
