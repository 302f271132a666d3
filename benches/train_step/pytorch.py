"""The reference side of `benches/train_step`: diffusers' UNet, the mean squared error of ε, torch.optim.AdamW, eager, on the CPU.

Started by the bench. Writes a line after its warm-up; then, for each line it reads, takes one step and writes {"seconds"}; at the end of its input writes
{"peak_mib", "before_mib", "cpu_seconds", "loss"}: peak resident memory, resident memory before the model was built, processor time of the steps.
"""

import argparse
import json
import sys
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
    parser.add_argument("--threads", type=int, required=True)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    before = status_mib("VmRSS")
    with open(chosen.config, encoding="utf-8") as file:
        config = json.load(file)
    unet = UNet2DConditionModel.from_config(config).train()
    optimiser = torch.optim.AdamW(unet.parameters(), lr=1e-4)
    size, width = config["sample_size"], config["cross_attention_dim"]

    def step() -> float:
        sample, noise = torch.randn(2, chosen.batch, config["in_channels"], size, size)
        context = torch.randn(chosen.batch, TOKENS, width)
        timestep = torch.randint(0, 1000, (chosen.batch,))
        loss = torch.nn.functional.mse_loss(unet(sample, timestep, context).sample, noise)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), CLIP_NORM)
        optimiser.step()
        return loss.item()

    for _ in range(WARM_UP):
        loss = step()
    print(json.dumps({"seconds": 0.0}), flush=True)
    cpu = time.process_time()
    for _ in sys.stdin:
        began = time.perf_counter()
        loss = step()
        print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)
    cpu = time.process_time() - cpu
    print(json.dumps({"peak_mib": status_mib("VmHWM"), "before_mib": before, "cpu_seconds": cpu, "loss": loss}))


main()
