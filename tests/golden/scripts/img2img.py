"""Image to image through diffusers' own pipeline: img2img.json and img2img.safetensors.

What StableDiffusionImg2ImgPipeline does (diffusers 0.42.1; read in its source, and checked by `by_hand` below):

Picture. PIL, converted to RGB, resized by PIL's Lanczos filter (on bytes, both directions, rounding to bytes between them) to the wanted size, which for
diffusers is the picture's own rounded down to multiples of 8 (VaeImageProcessor.resize; the pipeline has no width and height of its own, so this script
resizes first); /255 to f32; 2x - 1.

Random numbers, from one generator an image, in this order:
  1. the VAE's posterior: z = (mean + exp(½ clamp(logvar, -30, 20)) · randn[1,4,h,w]) · scaling_factor          (DiagonalGaussianDistribution.sample)
  2. the noise: randn[1,4,h,w], mixed in once by add_noise                                                      (prepare_latents)
  3. with euler_a only: randn[1,4,h,w] in every call, the last one too                                          (step)
With a list of generators each image draws its own, as if it were alone. Nothing is drawn for initial latents as text to image does.

strength. init = min(int(steps · strength), steps) in f64, start = steps - init, timesteps = scheduler.timesteps[start:] (`order` is 1 in all five classes), and
set_begin_index(start) where the class has it (Euler, Euler ancestral, DPM-Solver multistep; not DDIM, PNDM). So init calls are made, but:
  - PNDM's own list has steps + 1 entries, the second timestep twice; so its init is one call more, and only at start = 0 is the repeated entry the
    second of the run. Its counter starts at 0 whatever the first timestep is: the first call is a multistep call of first order from t to t - stride; the
    second (with the model at the next timestep) redoes it, from t to t - stride, with the mean of both outputs; from the third on the model sees timestep
    t but the latent is that of t + stride. That is diffusers' behaviour, and these fixtures have it.
  - DPM-Solver's first call is of first order (no earlier outputs); rules on the number of steps (lower_order_final below 15) count the whole plan, not what
    is left of it.
  - Euler's init_noise_sigma is not used; strength 1 starts from the picture plus full noise, not from noise alone, with every class.
  - init = 0 is an error in diffusers.

add_noise, at the first timestep t (DDIM, PNDM: by t itself; the others: by begin index, i = start):
  DDIM, PNDM       sqrt(ᾱ_t) z + sqrt(1 - ᾱ_t) ε
  Euler, ancestral z + σ_i ε
  DPM-Solver       α_i z + α_i σ_i ε,  α_i = 1 / sqrt(σ_i² + 1)
"""

import common
import diffusers
import numpy as np
import torch
from diffusers import StableDiffusionImg2ImgPipeline
from PIL import Image
from runs import relative
from safetensors.torch import save_file
from tiny_pipeline import build
from trajectories import CLASSES, make

from exporting.architectures import SCHEDULER

BASE = {
    "scheduler": "ddim",
    "prompt": "two blue stars on the beach",
    "negative_prompt": "a photo of the cat",
    "guidance_scale": 5.0,
    "steps": 10,
    "strength": 0.6,
    "seed": 7,
    "width": 64,
    "height": 64,
    "picture": "disc",
}
STRENGTHS = [0.3, 0.6, 1.0]
OTHERS = {
    "seed": {"seed": 8},
    "large_seed_euler_a": {"seed": 4294967295, "scheduler": "euler_a"},
    "unguided": {"guidance_scale": 1.0},
    "resized": {"picture": "odd"},
    "wide": {"width": 96, "scheduler": "euler_a"},
    # int(10 · 0.7) is 7; in f32 it would be 6.
    "strength_0.7": {"strength": 0.7},
    # 3 of 8 · 0.45 = 3.6
    "strength_0.45": {"strength": 0.45, "steps": 8, "scheduler": "dpmpp_2m"},
    # One call, two of PNDM's.
    **{f"least_{scheduler}": {"strength": 0.1, "scheduler": scheduler} for scheduler in CLASSES},
    "whole_plan_counts": {"steps": 20, "scheduler": "dpmpp_2m", "config": {"final_sigmas_type": "sigma_min"}},
    "v_prediction": {"scheduler": "euler", "config": {"prediction_type": "v_prediction"}},
    "trailing": {"scheduler": "euler", "config": {"timestep_spacing": "trailing"}},
}
LEAST_MOVE = 0.1  # relative L2 of the final latents, where a test's tolerance is 1e-3
CLAMP = (-30.0, 20.0)


def disc(width: int, height: int) -> np.ndarray:
    """A disc before two gradients, u8 [height, width, 3]: soft and sharp places, all three colours."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    u, v = x / (width - 1), y / (height - 1)
    inside = ((u - 0.4) ** 2 + (v - 0.55) ** 2 < 0.09)[..., None]
    background = np.stack([0.2 + 0.6 * u, 0.8 - 0.5 * v, 0.3 + 0.4 * u * v], axis=-1)
    return np.round(255 * np.where(inside, [0.9, 0.15, 0.1], background)).astype(np.uint8)


PICTURES = {"disc": disc(64, 64), "odd": disc(90, 50)}


def requests():
    for scheduler in CLASSES:
        for strength in STRENGTHS:
            yield f"{scheduler}_{strength}", BASE | {"scheduler": scheduler, "strength": strength}
    for key, changed in OTHERS.items():
        yield key, BASE | changed


class Pipeline(StableDiffusionImg2ImgPipeline):
    """Keeps what the first call starts from."""

    def prepare_latents(self, *args, **kwargs):
        self.started = super().prepare_latents(*args, **kwargs)
        return self.started


def picture(request) -> Image.Image:
    size = (request["width"], request["height"])
    return Image.fromarray(PICTURES[request["picture"]]).resize(size, Image.Resampling.LANCZOS)


def run(pipeline, request, seeds):
    """What the first call starts from, the final latents, the timesteps and the pixels, for each seed."""
    config = SCHEDULER | request.get("config", {})
    pipeline.scheduler = make(request["scheduler"], config)
    kept, timesteps = {}, []

    def keep(_pipeline, _step, timestep, values):
        kept["latents"] = values["latents"].float().clone()
        timesteps.append(float(timestep))
        return values

    images = pipeline(
        image=picture(request),
        strength=request["strength"],
        prompt=request["prompt"],
        negative_prompt=request["negative_prompt"],
        guidance_scale=request["guidance_scale"],
        num_inference_steps=request["steps"],
        num_images_per_prompt=len(seeds),
        generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
        output_type="np",
        callback_on_step_end=keep,
    ).images
    pixels = torch.from_numpy(np.round(255 * images).astype(np.uint8))
    return config, timesteps, {"start": pipeline.started.float(), "latents": kept["latents"], "pixels": pixels}


def moments(pipeline, request) -> torch.Tensor:
    """Mean and log-variance of the posterior, [1, 8, h/8, w/8]."""
    values = torch.from_numpy(np.array(picture(request))).permute(2, 0, 1)[None] / 255
    return pipeline.vae.encode(2 * values.to(pipeline.dtype) - 1).latent_dist.parameters


def by_hand(pipeline, request, encoded) -> torch.Tensor:
    """`start` as the text above has it."""
    scheduler = make(request["scheduler"], SCHEDULER | request.get("config", {}))
    scheduler.set_timesteps(request["steps"])
    first = request["steps"] - min(int(request["steps"] * request["strength"]), request["steps"])
    mean, log_variance = encoded.chunk(2, dim=1)
    generator = torch.Generator("cpu").manual_seed(request["seed"])
    posterior, noise = (torch.randn(mean.shape, generator=generator) for _ in range(2))
    z = (mean + torch.exp(0.5 * log_variance.clamp(*CLAMP)) * posterior) * pipeline.vae.config.scaling_factor
    if request["scheduler"] in ("ddim", "pndm"):
        alpha = scheduler.alphas_cumprod[int(scheduler.timesteps[first])]
        return alpha**0.5 * z + (1 - alpha) ** 0.5 * noise
    sigma = scheduler.sigmas[first]
    scale = 1.0 if request["scheduler"].startswith("euler") else 1 / (sigma**2 + 1) ** 0.5
    return scale * (z + sigma * noise)


def main():
    diffusers.utils.logging.set_verbosity_error()
    pipeline = Pipeline(**build().components, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    rows, tensors = [], {f"picture/{name}": torch.from_numpy(pixels) for name, pixels in PICTURES.items()}
    worst_start = 0.0
    for key, request in requests():
        config, timesteps, results = run(pipeline, request, [request["seed"]])
        encoded = moments(pipeline, request)
        worst_start = max(worst_start, relative(by_hand(pipeline, request, encoded), results["start"]))
        rows.append({"key": key, "pack": "tiny_sd"} | request | {"config": config, "timesteps": timesteps})
        tensors |= {f"{key}/{name}": value[:1] for name, value in results.items() if name != "pixels"}
        tensors[f"{key}/pixels"] = results["pixels"][0]
        tensors[f"moments/{request['picture']}_{request['width']}x{request['height']}"] = encoded.clone()
    common.write_json_rows(common.GOLDEN / "img2img.json", rows)
    save_file({name: value.contiguous() for name, value in tensors.items()}, common.GOLDEN / "img2img.safetensors")
    print(f"img2img: {len(rows)} runs; starts by hand differ by {worst_start:.1e} at most")
    report(pipeline, dict(requests()), tensors)


def report(pipeline, asked, tensors) -> None:
    """How far settings move the result, that a batch draws what its images draw alone, and what f32 rounding does."""
    base = tensors["ddim_0.6/latents"]
    for key in ("seed", "unguided", "ddim_0.3", "pndm_0.6", "euler_0.6", "dpmpp_2m_0.6", "strength_0.7"):
        moved = relative(tensors[f"{key}/latents"], base)
        print(f"  {key} moves the latents by {moved:.2f}" + ("" if moved >= LEAST_MOVE else "  TOO LITTLE"))
    pictures = relative(tensors["moments/odd_64x64"], tensors["moments/disc_64x64"])
    print(f"  the other picture moves the posterior by {pictures:.2f} (and a noisy latent hardly, in so small a model)")
    _, _, both = run(pipeline, asked["ddim_0.6"], [7, 8])
    apart = max(relative(both["latents"][:1], base), relative(both["latents"][1:], tensors["seed/latents"]))
    print(f"  two images in one call differ from each alone by {apart:.1e}")
    pipeline.to(torch.float64)
    keys = [key for key, request in asked.items() if request["scheduler"] != "euler_a"]
    worst = max(double_precision_error(pipeline, asked[key], tensors[f"{key}/latents"]) for key in keys)
    print(f"  in f64 the final latents differ by {worst:.1e} at most")


def double_precision_error(pipeline, request, latents) -> float:
    """How far f32 rounding alone moves a run, with the same random numbers."""
    drawn = torch.randn
    torch.randn = lambda *shape, dtype=None, **rest: drawn(*shape, dtype=torch.float32, **rest).to(dtype)
    try:
        return relative(run(pipeline, request, [request["seed"]])[2]["latents"], latents)
    finally:
        torch.randn = drawn


if __name__ == "__main__":
    main()
