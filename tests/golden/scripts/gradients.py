"""Reference gradients of four tiny random models, exported by both of PyTorch's exporters, from PyTorch autograd in f64.

    python tests/golden/scripts/gradients.py
"""

import copy
import json
import shutil

import common
import numpy as np
import onnx
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from onnx import numpy_helper
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPVisionConfig, CLIPVisionModelWithProjection

from exporting import components, graph
from exporting.components import Component

SEED = 20231
PERTURBATION = 0.1  # makes every weight different, norms' too
ROWS = 2

UNET = dict(
    sample_size=8,
    block_out_channels=[8, 16, 16],
    down_block_types=["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    up_block_types=["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    layers_per_block=1,
    cross_attention_dim=12,
    norm_num_groups=2,
    attention_head_dim=2,
)
VAE = dict(
    sample_size=16,
    block_out_channels=[8, 8, 12],
    down_block_types=["DownEncoderBlock2D"] * 3,
    up_block_types=["UpDecoderBlock2D"] * 3,
    layers_per_block=1,
    latent_channels=4,
    norm_num_groups=2,
)
CLIP = dict(hidden_act="quick_gelu", hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, projection_dim=12)
TEXT = dict(vocab_size=64, max_position_embeddings=12, bos_token_id=62, eos_token_id=63, pad_token_id=63)
VISION = dict(image_size=16, patch_size=4)


class ProjectedAndHidden(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids):
        output = self.model(input_ids=input_ids)
        return output.text_embeds, output.last_hidden_state


def text_component(model) -> Component:
    made, config = components.clip_text(model), model.config
    hidden = {"last_hidden_state": ["batch", config.max_position_embeddings, config.hidden_size]}
    return Component(ProjectedAndHidden(model), made.inputs, made.axes, made.output_dims | hidden, made.prefix)


def cases():
    """Name, a fresh component and the inputs of the case; heights and widths differ so that an axis mix-up shows."""
    random = torch.Generator().manual_seed(SEED)

    def normal(*shape):
        return torch.randn(shape, generator=random)

    text_ids = torch.tensor([[62, 5, 9, 9, 63, *[63] * 7], [62, 17, 3, 40, 41, 2, 0, 63, *[63] * 4]])
    unet_inputs = {"sample": normal(ROWS, 4, 8, 12), "timestep": torch.tensor([3.0, 741.25]), "encoder_hidden_states": normal(ROWS, 5, 12)}
    yield "unet", lambda: components.unet(build(UNet2DConditionModel, **UNET)), unet_inputs
    yield "vae_encoder", lambda: components.vae_encoder(build(AutoencoderKL, **VAE)), {"sample": normal(ROWS, 3, 16, 24)}
    yield "vae_decoder", lambda: components.vae_decoder(build(AutoencoderKL, **VAE)), {"latent_sample": normal(ROWS, 4, 4, 6)}
    text = CLIPTextConfig(**CLIP, **TEXT, attn_implementation="sdpa")
    yield "clip_text", lambda: text_component(build(CLIPTextModelWithProjection, text)), {"input_ids": text_ids}
    vision = CLIPVisionConfig(**CLIP, **VISION, attn_implementation="sdpa")
    yield "clip_vision", lambda: components.clip_vision(build(CLIPVisionModelWithProjection, vision)), {"pixel_values": normal(ROWS, 3, 16, 16)}


def build(kind, *arguments, **named):
    torch.manual_seed(SEED)
    model = kind(*arguments, **named).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(PERTURBATION * torch.randn_like(parameter))
    return model.requires_grad_(False)


def reference(component: Component, inputs: dict):
    """Outputs, cotangents and gradients (by PyTorch's names, inputs' too) of Σ output · cotangent, in f64."""
    module = copy.deepcopy(component.module).double().requires_grad_(True)
    doubles = {k: v.double().requires_grad_(True) if v.is_floating_point() else v for k, v in inputs.items()}
    outputs = module(*doubles.values())
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    random = torch.Generator().manual_seed(SEED + 1)
    cotangents = [torch.randn(output.shape, generator=random) for output in outputs]
    sum((output * cotangent.double()).sum() for output, cotangent in zip(outputs, cotangents)).backward()
    gradients = {name.removeprefix(component.prefix): p.grad for name, p in module.named_parameters()}
    gradients |= {name: v.grad for name, v in doubles.items() if v.is_floating_point() and v.grad is not None}
    names = list(component.output_dims)
    return dict(zip(names, (o.detach() for o in outputs))), dict(zip(names, cotangents)), gradients


def split_legacy(model: onnx.ModelProto, parameters: dict, gradients: dict):
    """The legacy graph's weights and their gradients under its own initializer names and layouts, found by value."""
    by_value = {}
    for name, parameter in parameters.items():
        value, gradient = parameter.detach(), gradients[name]
        by_value.setdefault(value.numpy().tobytes(), (value, gradient))
        if value.dim() == 2:
            by_value.setdefault(value.t().contiguous().numpy().tobytes(), (value.t(), gradient.t()))
    weights, found = {}, {}
    for initializer in model.graph.initializer:
        if initializer.data_type != onnx.TensorProto.FLOAT or not initializer.dims:
            continue
        value = torch.from_numpy(np.array(numpy_helper.to_array(initializer)))
        if value.numpy().tobytes() in by_value:
            _, gradient = by_value[value.numpy().tobytes()]
            weights[initializer.name] = value
            found[initializer.name] = gradient.reshape(value.shape)
    return weights, found


def write_case(folder, model, weights, gradients, inputs, outputs, cotangents):
    shutil.rmtree(folder, ignore_errors=True)
    graph.write(model, weights, folder / "model.onnx")
    tensors = {f"input/{k}": v for k, v in inputs.items()}
    tensors |= {f"output/{k}": v.float() for k, v in outputs.items()}
    tensors |= {f"cotangent/{k}": v for k, v in cotangents.items()}
    tensors |= {f"grad/{k}": v.float() for k, v in gradients.items()}
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "case.safetensors")


def check_forward(folder, inputs, outputs) -> float:
    """Relative L2 distance of ONNX Runtime's outputs from the reference."""
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "model.onnx")
    results = session.run(None, {k: v.numpy() for k, v in inputs.items()})
    return max(float(np.linalg.norm(r - o.numpy()) / np.linalg.norm(o.numpy())) for r, o in zip(results, outputs.values()))


def main():
    for name, fresh, inputs in cases():
        component = fresh()
        outputs, cotangents, gradients = reference(component, inputs)
        parameters = components.parameters(component)
        inner = {k: v for k, v in gradients.items() if k in inputs}
        for exporter in ("dynamo", "legacy"):
            folder = common.GRADIENTS / name / exporter
            try:
                model = graph.trace(fresh(), exporter)
            except Exception as error:  # the legacy exporter refuses some of transformers' masking
                print(f"{name}/{exporter}: not exportable: {type(error).__name__}: {str(error)[:300]}")
                continue
            if exporter == "dynamo":
                weights, wanted = parameters, gradients
            else:
                weights, wanted = split_legacy(model, parameters, gradients)
                wanted |= inner
            write_case(folder, model, weights, wanted, inputs, outputs, cotangents)
            (folder / "config.json").write_text(config_text(component), encoding="utf-8")
            missing = len(parameters) + len(inner) - len(wanted)
            error = check_forward(folder, inputs, outputs)
            print(f"{name}/{exporter}: {common.size_of(folder):,} bytes, {len(wanted)} gradients, {missing} missing, forward {error:.1e}")


def config_text(component: Component) -> str:
    inner = next((m for m in component.module.modules() if hasattr(m, "config")), None)
    values = VAE if inner is None else dict(inner.config) if isinstance(inner.config, dict) else inner.config.to_dict()
    return json.dumps({k: v for k, v in values.items() if not k.startswith("_")}, indent=2, default=str) + "\n"


if __name__ == "__main__":
    main()
