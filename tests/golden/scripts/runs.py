"""Whole guided runs of the tiny Stable Diffusion through diffusers' own pipeline: runs.json and runs.safetensors."""

import common
import diffusers
import numpy as np
import torch
from safetensors.torch import save_file
from tiny_pipeline import build
from trajectories import make

from exporting.architectures import SCHEDULER

BASE = {
    "scheduler": "pndm",
    "prompt": "two blue stars on the beach",
    "negative_prompt": "a photo of the cat",
    "guidance_scale": 5.0,
    "steps": 10,
    "seed": 7,
    "width": 64,
    "height": 64,
}
MOVES = {
    "prompt": "a red fish",
    "negative_prompt": "a heart in the city",
    "guidance_scale": 2.5,
    "steps": 5,
    "seed": 8,
    "scheduler": "euler",
}
OTHERS = {
    "steps_20": {"steps": 20},
    "steps_1": {"steps": 1},
    "unguided": {"guidance_scale": 1.0},
    "no_negative": {"negative_prompt": ""},
    "wide": {"width": 96},
    "tall": {"height": 96, "scheduler": "euler_a"},
    "large_seed": {"seed": 4294967295},
    "long_prompt": {"prompt": "two blue stars on the beach, " * 20, "scheduler": "ddim"},
}
PREDICTIONS = {"ddim": ["v_prediction", "sample"], "euler": ["v_prediction"], "dpmpp_2m": ["v_prediction", "sample"]}
LEAST_MOVE = 0.1  # 100 times the tolerance of a run, relative L2 of the final latents


def requests():
    yield "base", BASE
    for setting, value in MOVES.items():
        yield f"moves_{setting}", BASE | {setting: value, "moves": setting}
    for scheduler in ("ddim", "pndm", "euler", "euler_a", "dpmpp_2m", "dpmpp_2m_karras"):
        yield f"scheduler_{scheduler}", BASE | {"scheduler": scheduler, "steps": 12}
    for key, changed in OTHERS.items():
        yield key, BASE | changed
    for scheduler, predictions in PREDICTIONS.items():
        for prediction in predictions:
            yield f"{scheduler}_{prediction}", BASE | {"scheduler": scheduler, "prediction_type": prediction}


def run(pipeline, request):
    """The initial noise, final latents and pixels of one request."""
    config = SCHEDULER | {k: request[k] for k in ("prediction_type",) if k in request}
    pipeline.scheduler = make(request["scheduler"], config)
    kept = {}

    def keep(_pipeline, _step, _timestep, values):
        kept["latents"] = values["latents"].float().clone()
        return values

    shape = (1, 4, request["height"] // 8, request["width"] // 8)
    noise = torch.randn(shape, generator=torch.Generator("cpu").manual_seed(request["seed"]))
    images = pipeline(
        latents=noise.to(pipeline.dtype) if pipeline.dtype == torch.float64 else None,
        prompt=request["prompt"],
        negative_prompt=request["negative_prompt"],
        guidance_scale=request["guidance_scale"],
        num_inference_steps=request["steps"],
        width=request["width"],
        height=request["height"],
        generator=torch.Generator("cpu").manual_seed(request["seed"]),
        output_type="pil",
        callback_on_step_end=keep,
    ).images
    return config, {"noise": noise, "latents": kept["latents"], "pixels": torch.from_numpy(np.array(images[0]))}


def relative(a, b):
    return float((a - b).norm() / b.norm())


def main():
    diffusers.utils.logging.set_verbosity_error()
    pipeline = build()
    pipeline.set_progress_bar_config(disable=True)
    rows, tensors = [], {}
    for key, request in requests():
        config, results = run(pipeline, request)
        row = {"key": key, "pack": "tiny_sd"} | {k: v for k, v in request.items() if k != "prediction_type"}
        rows.append(row | {"config": config})
        tensors |= {f"{key}/{name}": value for name, value in results.items()}
        if "moves" in request:
            moved = relative(results["latents"], tensors["base/latents"])
            print(f"{key}: {moved:.2f}" + ("" if moved >= LEAST_MOVE else "  TOO LITTLE"))
    common.write_json_rows(common.GOLDEN / "runs.json", rows)
    save_file(tensors, common.GOLDEN / "runs.safetensors")
    print(f"runs: {len(rows)}; in f64 the final latents differ by {double_precision_error(tensors):.1e} at most")


def double_precision_error(tensors) -> float:
    """How far f32 rounding alone moves the runs: the fixtures' own uncertainty."""
    pipeline = build().to(torch.float64)
    pipeline.set_progress_bar_config(disable=True)
    worst = 0.0
    for key, request in requests():
        if request["scheduler"] == "euler_a":
            continue  # its noise would be drawn in f64 too
        _, results = run(pipeline, request)
        worst = max(worst, relative(results["latents"], tensors[f"{key}/latents"]))
    return worst


if __name__ == "__main__":
    main()
