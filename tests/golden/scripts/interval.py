"""Text to image with guidance in a part of the calls only, through diffusers' own pipeline: interval.json and interval.safetensors.

Call i of n (PNDM makes steps + 1) is guided when start <= i / n < end; elsewhere the conditional output is used alone (a scale of 1).
diffusers has no such argument for this pipeline; its guiders (ClassifierFreeGuidance with start and stop) cut at int(start · steps) instead.
"""

import common
import diffusers
import torch
from diffusers import StableDiffusionPipeline
from runs import BASE, relative, run
from safetensors.torch import save_file
from tiny_pipeline import build

CASES = {
    "whole": {"guidance_interval": [0.0, 1.0]},
    "none": {"guidance_interval": [0.5, 0.5]},
    "early": {"guidance_interval": [0.0, 0.4]},
    "late": {"guidance_interval": [0.6, 1.0]},
    # 0.2, 0.3 and 0.7 are no binary fractions: in f32 · 10 they fall on the wrong side of 2, 3 and 7.
    "middle_euler": {"guidance_interval": [0.2, 0.7], "scheduler": "euler"},
    "middle_dpmpp_2m": {"guidance_interval": [0.3, 0.8], "scheduler": "dpmpp_2m"},
    "middle_euler_a": {"guidance_interval": [0.1, 0.9], "scheduler": "euler_a"},
    # 11 calls: 3, 4, 5 and 6 are guided
    "middle_pndm": {"guidance_interval": [0.2, 0.6]},
    "between_ddim": {"guidance_interval": [0.25, 0.55], "scheduler": "ddim", "steps": 12},
}


class Interval(StableDiffusionPipeline):
    """Guidance by call. Calls are counted at the scaling of the denoiser's input, which every call begins with."""

    interval = (0.0, 1.0)
    call = 0

    @property
    def do_classifier_free_guidance(self):
        return True

    @property
    def guidance_scale(self):
        start, end = self.interval
        return self._guidance_scale if start <= self.call / self.num_timesteps < end else 1.0

    def progress_bar(self, *args, **kwargs):
        scale, self.call = self.scheduler.scale_model_input, -1

        def counted(sample, timestep):
            self.call += 1
            return scale(sample, timestep)

        self.scheduler.scale_model_input = counted
        return super().progress_bar(*args, **kwargs)


def main():
    diffusers.utils.logging.set_verbosity_error()
    pipeline = Interval(**build().components, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    rows, tensors = [], {}
    for key, changed in CASES.items():
        request = BASE | changed
        pipeline.interval = request["guidance_interval"]
        config, results = run(pipeline, request)
        assert pipeline.call + 1 == pipeline.num_timesteps
        start, end = pipeline.interval
        guided = [i for i in range(pipeline.num_timesteps) if start <= i / pipeline.num_timesteps < end]
        rows.append({"key": key, "pack": "tiny_sd"} | request | {"config": config, "guided_calls": guided})
        tensors |= {f"{key}/{name}": value for name, value in results.items()}
    common.write_json_rows(common.GOLDEN / "interval.json", rows)
    save_file(tensors, common.GOLDEN / "interval.safetensors")
    print(f"interval: {len(rows)} runs")
    report(tensors)


def report(tensors) -> None:
    """`whole` and `none` are the plain pipeline's own runs; the others are neither."""
    plain = StableDiffusionPipeline(**build().components, requires_safety_checker=False)
    plain.set_progress_bar_config(disable=True)
    for key, scale in (("whole", BASE["guidance_scale"]), ("none", 1.0)):
        _, results = run(plain, BASE | {"guidance_scale": scale})
        print(f"  {key} differs from diffusers with scale {scale} by {relative(tensors[f'{key}/latents'], results['latents']):.1e}")
    for key in ("early", "late", "middle_pndm"):
        print(f"  {key} is {relative(tensors[f'{key}/latents'], tensors['whole/latents']):.2f} from guidance in all calls")


if __name__ == "__main__":
    main()
