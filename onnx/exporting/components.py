"""What each component's graph takes and gives. A wrapper's attributes make the weights' names PyTorch's own."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from diffusers.models.attention_processor import AttnProcessor2_0

SAMPLE_ROWS = 2  # torch.export specialises sizes 0 and 1


@dataclass(frozen=True)
class Component:
    """A module to export. `axes` names the dynamic axes of each input, `output_dims` every axis of each output."""

    module: torch.nn.Module
    inputs: dict[str, torch.Tensor]
    axes: dict[str, dict[int, str]]
    output_dims: dict[str, list[int | str]]
    prefix: str = field(default="")


class UNet(torch.nn.Module):
    def __init__(self, unet):
        super().__init__()
        self.unet = unet

    def forward(self, sample, timestep, encoder_hidden_states):
        return self.unet(sample, timestep, encoder_hidden_states, return_dict=False)[0]


class VaeEncoder(torch.nn.Module):
    """Mean and log-variance side by side, as optimum names them: latent_parameters."""

    def __init__(self, vae):
        super().__init__()
        self.encoder = vae.encoder
        self.quant_conv = vae.quant_conv

    def forward(self, sample):
        return self.quant_conv(self.encoder(sample))


class VaeDecoder(torch.nn.Module):
    def __init__(self, vae):
        super().__init__()
        self.decoder = vae.decoder
        self.post_quant_conv = vae.post_quant_conv

    def forward(self, latent_sample):
        return self.decoder(self.post_quant_conv(latent_sample))


class TextEncoder(torch.nn.Module):
    def __init__(self, text_model):
        super().__init__()
        self.text_model = text_model

    def forward(self, input_ids):
        output = self.text_model(input_ids=input_ids)
        return output.last_hidden_state, output.pooler_output


class Projected(torch.nn.Module):
    def __init__(self, model, argument, output):
        super().__init__()
        self.model = model
        self.argument = argument
        self.output = output

    def forward(self, value):
        return getattr(self.model(**{self.argument: value}), self.output)


def unet(model) -> Component:
    model.set_attn_processor(AttnProcessor2_0())
    channels, size, text = model.config.in_channels, model.config.sample_size, model.config.cross_attention_dim
    return Component(
        UNet(model),
        {
            "sample": torch.zeros(SAMPLE_ROWS, channels, size, size),
            "timestep": torch.zeros(SAMPLE_ROWS),
            "encoder_hidden_states": torch.zeros(SAMPLE_ROWS, 7, text),
        },
        {
            "sample": {0: "batch", 2: "height", 3: "width"},
            "timestep": {0: "batch"},
            "encoder_hidden_states": {0: "batch", 1: "sequence"},
        },
        {"out_sample": ["batch", model.config.out_channels, "height", "width"]},
        prefix="unet.",
    )


def vae_encoder(model) -> Component:
    for attention in model.encoder.mid_block.attentions:
        attention.set_processor(AttnProcessor2_0())
    size = model.config.sample_size
    return Component(
        VaeEncoder(model),
        {"sample": torch.zeros(SAMPLE_ROWS, model.config.in_channels, size, size)},
        {"sample": {0: "batch", 2: "height", 3: "width"}},
        {"latent_parameters": ["batch", 2 * model.config.latent_channels, "latent_height", "latent_width"]},
    )


def vae_decoder(model) -> Component:
    for attention in model.decoder.mid_block.attentions:
        attention.set_processor(AttnProcessor2_0())
    size = model.config.sample_size >> (len(model.config.block_out_channels) - 1)
    return Component(
        VaeDecoder(model),
        {"latent_sample": torch.zeros(SAMPLE_ROWS, model.config.latent_channels, size, size)},
        {"latent_sample": {0: "batch", 2: "latent_height", 3: "latent_width"}},
        {"sample": ["batch", model.config.out_channels, "height", "width"]},
    )


def token_ids(config):
    """Rows with their end marker at different places, so that pooling is traced, not folded."""
    ids = torch.ones(SAMPLE_ROWS, config.max_position_embeddings, dtype=torch.int64)
    ids[0, 3:] = config.eos_token_id
    ids[1, 5:] = config.eos_token_id
    return ids


def text_encoder(model) -> Component:
    config = model.config
    return Component(
        TextEncoder(model),
        {"input_ids": token_ids(config)},
        {"input_ids": {0: "batch"}},
        {
            "last_hidden_state": ["batch", config.max_position_embeddings, config.hidden_size],
            "pooler_output": ["batch", config.hidden_size],
        },
    )


def clip_text(model) -> Component:
    return Component(
        Projected(model, "input_ids", "text_embeds"),
        {"input_ids": token_ids(model.config)},
        {"input_ids": {0: "batch"}},
        {"text_embeds": ["batch", model.config.projection_dim]},
        prefix="model.",
    )


def clip_vision(model) -> Component:
    config = model.config
    pixels = torch.zeros(SAMPLE_ROWS, config.num_channels, config.image_size, config.image_size)
    return Component(
        Projected(model, "pixel_values", "image_embeds"),
        {"pixel_values": pixels},
        {"pixel_values": {0: "batch"}},
        {"image_embeds": ["batch", config.projection_dim]},
        prefix="model.",
    )


def parameters(component: Component) -> dict[str, torch.nn.Parameter]:
    """The component's parameters by PyTorch's names."""
    return {name.removeprefix(component.prefix): value for name, value in component.module.named_parameters()}


BUILDERS: dict[str, Callable] = {
    "unet": unet,
    "vae_encoder": vae_encoder,
    "vae_decoder": vae_decoder,
    "text_encoder": text_encoder,
    "clip_text": clip_text,
    "clip_vision": clip_vision,
}
