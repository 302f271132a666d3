"""Schedulers alone, with a stored fake model: trajectories.json and trajectories.safetensors."""

import common
import diffusers
import torch
from safetensors.torch import save_file

from exporting.architectures import SCHEDULER

SHAPE = (1, 4, 4, 2)
CALLS = 64
NOISE_SEED = 2026
CLASSES = {
    "ddim": "DDIMScheduler",
    "pndm": "PNDMScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler_a": "EulerAncestralDiscreteScheduler",
    "dpmpp_2m": "DPMSolverMultistepScheduler",
    "dpmpp_2m_karras": "DPMSolverMultistepScheduler",
}
PREDICTIONS = ["epsilon", "v_prediction", "sample"]
SPACINGS = ["leading", "linspace", "trailing"]
SD15_STEPS = [1, 2, 3, 5, 10, 20, 50]
GRID_STEPS = [2, 7, 20]
ONLY = {
    "ddim": [
        {"clip_sample": True},
        {"clip_sample": True, "clip_sample_range": 1.5},
        {"clip_sample": None},
        {"set_alpha_to_one": None},
        {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "prediction_type": "v_prediction"},
    ],
    "pndm": [{"set_alpha_to_one": True}, {"skip_prk_steps": None}],
    "euler": [
        {"use_karras_sigmas": True},
        {"use_karras_sigmas": True, "sigma_min": 0.05, "sigma_max": 12.0},
        {"final_sigmas_type": "sigma_min"},
        {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "prediction_type": "v_prediction"},
        {"interpolation_type": "log_linear"},
    ],
    "euler_a": [{"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "prediction_type": "v_prediction"}],
    "dpmpp_2m": [
        {"solver_type": "heun"},
        {"solver_order": 1},
        {"lower_order_final": False},
        {"euler_at_final": True},
        {"final_sigmas_type": "sigma_min"},
        {"final_sigmas_type": "sigma_min", "lower_order_final": False},
        {"lambda_min_clipped": -5.1, "beta_schedule": "squaredcos_cap_v2"},
    ],
    "dpmpp_2m_karras": [{"sigma_min": 0.05, "sigma_max": 12.0}, {"solver_type": "heun"}, {"euler_at_final": True}, {"final_sigmas_type": "sigma_min"}],
}
EVERYWHERE = [
    {"set_alpha_to_one": True},
    {"steps_offset": 0},
    {"steps_offset": None},
    {"beta_schedule": "linear"},
    {"beta_schedule": "squaredcos_cap_v2"},
    {"beta_start": None, "beta_end": None, "beta_schedule": None},
    {"num_train_timesteps": 500},
]


def configs(scheduler):
    """(label, config, steps); None in a change omits the key."""
    for steps in SD15_STEPS:
        yield "sd15", SCHEDULER, steps
    for prediction in PREDICTIONS:
        for spacing in SPACINGS:
            for steps in GRID_STEPS:
                yield f"{prediction}-{spacing}", SCHEDULER | {"prediction_type": prediction, "timestep_spacing": spacing}, steps
    for change in EVERYWHERE + ONLY[scheduler]:
        config = {k: v for k, v in (SCHEDULER | change).items() if not (k in change and v is None)}
        yield "+".join(f"{k}={'omitted' if v is None else v}" for k, v in change.items()), config, 8
        yield "+".join(f"{k}={'omitted' if v is None else v}" for k, v in change.items()), config, 25


def make(scheduler, config):
    extra = {"use_karras_sigmas": True} if scheduler.endswith("karras") else {}
    return getattr(diffusers, CLASSES[scheduler]).from_config({k: v for k, v in config.items() if not k.startswith("_")}, **extra)


def trajectory(made, steps, start, model):
    made.set_timesteps(steps)
    generator = torch.Generator("cpu").manual_seed(NOISE_SEED)
    extra = {"generator": generator} if "Ancestral" in type(made).__name__ else {}
    sample, samples = start * made.init_noise_sigma, []
    for call, timestep in enumerate(made.timesteps):
        output = 0.1 * made.scale_model_input(sample, timestep) + model[call : call + 1]
        sample = made.step(output, timestep, sample, **extra).prev_sample
        samples.append(sample)
    return torch.cat(samples)


def main():
    random = torch.Generator("cpu").manual_seed(NOISE_SEED + 1)
    start, model = torch.randn(SHAPE, generator=random), torch.randn((CALLS, *SHAPE[1:]), generator=random)
    ancestral = torch.Generator("cpu").manual_seed(NOISE_SEED)
    noise = torch.cat([torch.randn(SHAPE, generator=ancestral) for _ in range(CALLS)])
    rows, tensors, refused = [], {"start": start, "model": model, "noise": noise}, set()
    for scheduler in CLASSES:
        for label, config, steps in configs(scheduler):
            try:
                made = make(scheduler, config)
                path = trajectory(made, steps, start, model)
            except (NotImplementedError, ValueError, IndexError) as error:
                refused.add(f"{scheduler} {label} {steps}: {type(error).__name__}: {str(error)[:120]}")
                continue
            if not path.isfinite().all():
                refused.add(f"{scheduler} {label} {steps}: not finite")
                continue
            key = f"{scheduler}/{label}/{steps}"
            sigma = float(made.init_noise_sigma)
            rows.append(
                {"key": key, "scheduler": scheduler, "class": CLASSES[scheduler], "config": config, "steps": steps}
                | {"timesteps": [float(t) for t in made.timesteps], "init_noise_sigma": sigma}
            )
            tensors[key] = path
    common.write_json_rows(common.GOLDEN / "trajectories.json", rows)
    save_file(tensors, common.GOLDEN / "trajectories.safetensors")
    print(f"trajectories: {len(rows)} cases; diffusers itself refuses:", *sorted(refused), sep="\n  ")


if __name__ == "__main__":
    main()
