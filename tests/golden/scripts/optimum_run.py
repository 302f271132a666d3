"""The same tiny Stable Diffusion through optimum: its export, and what optimum's own ONNX Runtime pipeline makes of it.

    OPTIMUM_PYTHON tests/golden/scripts/optimum_run.py CHECKPOINT     (optimum needs an environment of its own: requirements-optimum.txt)
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import common
import numpy as np
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, PNDMScheduler
from optimum.onnxruntime import ORTStableDiffusionPipeline
from safetensors.torch import save_file

OUT = common.GOLDEN / "tiny_sd_optimum"
SCHEDULERS = {"ddim": DDIMScheduler, "pndm": PNDMScheduler, "euler": EulerDiscreteScheduler}
REQUEST = {
    "prompt": "two blue stars on the beach",
    "negative_prompt": "a photo of the cat",
    "guidance_scale": 5.0,
    "steps": 10,
    "seed": 7,
    "width": 64,
    "height": 64,
}


def export(checkpoint: Path) -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    command = [sys.executable, "-m", "optimum.exporters.onnx", "--model", checkpoint, "--task", "text-to-image", OUT]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    for file in [*OUT.rglob("config.json"), OUT / "model_index.json"]:
        values = json.loads(file.read_text(encoding="utf-8"))
        values.pop("_name_or_path", None)
        file.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def run(pipeline, scheduler: str) -> dict:
    pipeline.scheduler = SCHEDULERS[scheduler].from_config(json.loads((OUT / "scheduler/scheduler_config.json").read_text(encoding="utf-8")))
    settings = {"num_inference_steps" if k == "steps" else k: v for k, v in REQUEST.items() if k != "seed"}
    results = {}
    for output in ("latent", "pil"):
        generator = torch.Generator("cpu").manual_seed(REQUEST["seed"])
        results[output] = pipeline(**settings, generator=generator, output_type=output).images[0]
    latents = torch.as_tensor(np.asarray(results["latent"]), dtype=torch.float32).reshape(1, 4, 8, 8)
    return {"latents": latents, "pixels": torch.from_numpy(np.array(results["pil"]))}


def main():
    export(Path(sys.argv[1]))
    pipeline = ORTStableDiffusionPipeline.from_pretrained(OUT, provider="CPUExecutionProvider")
    pipeline.set_progress_bar_config(disable=True)
    rows, tensors = [], {}
    for scheduler in SCHEDULERS:
        rows.append({"key": f"optimum_{scheduler}", "pack": "tiny_sd_optimum", "scheduler": scheduler} | REQUEST)
        tensors |= {f"optimum_{scheduler}/{name}": value for name, value in run(pipeline, scheduler).items()}
    common.write_json_rows(common.GOLDEN / "tiny_sd_optimum_run.json", rows)
    save_file(tensors, common.GOLDEN / "tiny_sd_optimum_run.safetensors")
    print(f"tiny_sd_optimum: {common.size_of(OUT):,} bytes, {len(rows)} runs")


if __name__ == "__main__":
    main()
