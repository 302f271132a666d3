"""The reference for `benches/train_step`: diffusers' UNet, the mean squared error of ε, torch.optim.AdamW, eager, on the CPU.

    python benches/train_step/pytorch.py --config onnx/packs/miniature/unet/config.json --batch 8 --steps 10 --threads 2

prints one JSON line: seconds of each step after the warm-up, peak resident memory, and memory before the model was built (MiB).
"""

import argparse
import json
import time

import torch
from diffusers import UNet2DConditionModel

WARM_UP = 2
TOKENS = 24
CLIP_NORM = 1.0


def status_mib(key: str) -> float:
    with open("/proc/self/status", encoding="utf-8") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    before = status_mib("VmRSS")
    with open(chosen.config, encoding="utf-8") as file:
        config = json.load(file)
    unet = UNet2DConditionModel.from_config(config).train()
    optimiser = torch.optim.AdamW(unet.parameters(), lr=1e-4)
    size, width = config["sample_size"], config["cross_attention_dim"]
    seconds, loss = [], None
    for step in range(WARM_UP + chosen.steps):
        began = time.perf_counter()
        sample, noise = torch.randn(2, chosen.batch, config["in_channels"], size, size)
        context = torch.randn(chosen.batch, TOKENS, width)
        timestep = torch.randint(0, 1000, (chosen.batch,))
        loss = torch.nn.functional.mse_loss(unet(sample, timestep, context).sample, noise)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), CLIP_NORM)
        optimiser.step()
        if step >= WARM_UP:
            seconds.append(time.perf_counter() - began)
    print(json.dumps({"seconds": seconds, "peak_mib": status_mib("VmHWM"), "before_mib": before, "loss": loss.item()}))


main()
