"""The configurations that can be built without a checkpoint: miniature, SD v1.5, and the tiny one of the golden tests."""

from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import (
    CLIPConfig,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

ATTENTION = "sdpa"

# SD v1.5's own file, with only the keys that it has.
SCHEDULER = {
    "_class_name": "PNDMScheduler",
    "_diffusers_version": "0.6.0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
    "clip_sample": False,
}


@dataclass(frozen=True)
class Architecture:
    """Arguments of diffusers' and transformers' own classes; `vision` is None where there is no CLIP pair."""

    text: dict
    vae: dict
    unet: dict
    vision: dict | None = None


def text_config(**values):
    return dict(hidden_act="quick_gelu", projection_dim=values["hidden_size"]) | values


MINIATURE = Architecture(
    text=text_config(
        vocab_size=1024,
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=24,
        bos_token_id=1022,
        eos_token_id=1023,
        pad_token_id=1023,
    ),
    vision=dict(
        hidden_act="quick_gelu",
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=64,
        patch_size=8,
        projection_dim=128,
    ),
    vae=dict(
        block_out_channels=[24, 48, 64],
        down_block_types=["DownEncoderBlock2D"] * 3,
        up_block_types=["UpDecoderBlock2D"] * 3,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=64,
        scaling_factor=1.0,
    ),
    unet=dict(
        sample_size=16,
        block_out_channels=[32, 64, 128],
        down_block_types=["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        up_block_types=["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
        layers_per_block=1,
        cross_attention_dim=128,
        norm_num_groups=8,
        attention_head_dim=4,
    ),
)

SD15 = Architecture(
    text=text_config(
        vocab_size=49408,
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        max_position_embeddings=77,
        # Its file's own, unlike its tokenizer's; an eos of 2 makes transformers pool at the largest id.
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=1,
    ),
    vae=dict(
        block_out_channels=[128, 256, 512, 512],
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        layers_per_block=2,
        latent_channels=4,
        norm_num_groups=32,
        sample_size=512,
        scaling_factor=0.18215,
    ),
    unet=dict(
        sample_size=64,
        block_out_channels=[320, 640, 1280, 1280],
        down_block_types=["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
        layers_per_block=2,
        cross_attention_dim=768,
        norm_num_groups=32,
        attention_head_dim=8,
    ),
)

TINY = Architecture(
    text=text_config(
        vocab_size=770,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        bos_token_id=768,
        eos_token_id=769,
        pad_token_id=769,
    ),
    vae=dict(
        block_out_channels=[8, 8, 16, 16],
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=64,
        scaling_factor=0.18215,
    ),
    unet=dict(
        sample_size=8,
        block_out_channels=[16, 32],
        down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"],
        up_block_types=["UpBlock2D", "CrossAttnUpBlock2D"],
        layers_per_block=1,
        cross_attention_dim=32,
        norm_num_groups=4,
        attention_head_dim=4,
    ),
)

ARCHITECTURES = {"miniature": MINIATURE, "sd15-random": SD15, "tiny-random": TINY}


def clip_text_config(architecture):
    return CLIPTextConfig(**architecture.text, attn_implementation=ATTENTION)


def clip_config(architecture):
    """The pair's configuration; `logit_scale` is the loss's, so it is in neither tower."""
    return CLIPConfig(
        text_config=architecture.text,
        vision_config=architecture.vision,
        projection_dim=architecture.text["projection_dim"],
    )


def build_unet(architecture):
    return UNet2DConditionModel(**architecture.unet)


def build_vae(architecture):
    return AutoencoderKL(**architecture.vae)


def build_text_encoder(architecture):
    return CLIPTextModel(clip_text_config(architecture))


def build_clip_text(architecture):
    return CLIPTextModelWithProjection(clip_text_config(architecture))


def build_clip_vision(architecture):
    return CLIPVisionModelWithProjection(CLIPVisionConfig(**architecture.vision, attn_implementation=ATTENTION))


def with_unet_width(architecture, widths):
    """The same architecture with other UNet block widths."""
    return Architecture(**(architecture.__dict__ | {"unet": architecture.unet | {"block_out_channels": widths}}))


def seeded(build, architecture, seed):
    torch.manual_seed(seed)
    return build(architecture).eval().requires_grad_(False)
