"""One peer drawing: diffusers (PyTorch eager) or optimum (ONNX Runtime), as a process of its own.

    python benches/generate/peer.py diffusers CHECKPOINT --prompts FILE -n 1 --steps 20 --guidance 5 --scheduler euler --threads 2 -o OUT

Draws every prompt of FILE in turn, n images in one call, seed + i for image i, and writes PNG files as `plaudit generate` does.
Prints one JSON line: seconds to load, and seconds of each prompt.
"""

import argparse
import json
import time
from pathlib import Path


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("peer", choices=["diffusers", "optimum"])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--prompts", type=Path, required=True)
    parser.add_argument("-n", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=5.0)
    parser.add_argument("--scheduler", default="euler")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, required=True)
    return parser.parse_args()


def load(chosen):
    import diffusers
    import torch

    torch.set_num_threads(chosen.threads)
    if chosen.peer == "diffusers":
        pipeline = diffusers.StableDiffusionPipeline.from_pretrained(chosen.directory, safety_checker=None)
    else:
        import onnxruntime
        from optimum.onnxruntime import ORTStableDiffusionPipeline

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = chosen.threads
        pipeline = ORTStableDiffusionPipeline.from_pretrained(chosen.directory, provider="CPUExecutionProvider", session_options=options)
    pipeline.set_progress_bar_config(disable=True)
    config = json.loads((chosen.directory / "scheduler/scheduler_config.json").read_text(encoding="utf-8"))
    pipeline.scheduler = scheduler(diffusers, chosen.scheduler, config)
    return pipeline


def scheduler(diffusers, name: str, config: dict):
    kinds = {
        "ddim": diffusers.DDIMScheduler,
        "pndm": diffusers.PNDMScheduler,
        "euler": diffusers.EulerDiscreteScheduler,
        "euler_a": diffusers.EulerAncestralDiscreteScheduler,
        "dpmpp_2m": diffusers.DPMSolverMultistepScheduler,
    }
    return kinds[name].from_config(config)


def draw(pipeline, prompt: str, chosen):
    import torch

    generators = [torch.Generator("cpu").manual_seed((chosen.seed + i) % 2**32) for i in range(chosen.n)]
    return pipeline(
        prompt,
        num_images_per_prompt=chosen.n,
        num_inference_steps=chosen.steps,
        guidance_scale=chosen.guidance,
        generator=generators,
    ).images


def main():
    chosen = arguments()
    began = time.perf_counter()
    pipeline = load(chosen)
    loaded = time.perf_counter() - began
    chosen.output.mkdir(parents=True, exist_ok=True)
    seconds = []
    for row, prompt in enumerate(chosen.prompts.read_text(encoding="utf-8").splitlines()):
        began = time.perf_counter()
        for i, image in enumerate(draw(pipeline, prompt, chosen)):
            image.save(chosen.output / f"{row:03}-{i:02}.png")
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"load": loaded, "seconds": seconds}))


if __name__ == "__main__":
    main()
