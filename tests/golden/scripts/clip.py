"""A tiny random CLIP beside tests/golden/tiny_sd, its exports, and what transformers makes of pictures and texts: tiny_clip/, clip.*.

    python tests/golden/scripts/clip.py

`clip.json` is a list of preprocessing cases {key, width, height}; `clip.safetensors` has, for each, `<key>/picture` u8 [H,W,3] and
`<key>/pixels` f32 [3,S,S], what CLIPImageProcessor (the PIL one) makes of it by tiny_clip/preprocessor_config.json. And of the first
PAIRED pictures and TEXTS: `image_embeds`, `text_embeds` (as CLIPModel answers them, length one), `logits_per_image`, `logit_scale`.
"""

import shutil

import common
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel, CLIPTextModelWithProjection, CLIPVisionModelWithProjection
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from exporting import architectures, components, graph
from exporting.vocabulary import write_json
from tiny_pipeline import tokenizer

SEED = 11
PERTURBATION = 0.15  # random weights as they come hardly look at their inputs
SIDE = 32
FOLDER = common.GOLDEN / "tiny_clip"
# Width and height: smaller, equal, larger, odd, narrow, wide.
SIZES = [(32, 32), (64, 64), (40, 24), (24, 40), (33, 47), (101, 67), (31, 33), (5, 7), (1, 1), (1, 90), (90, 1), (200, 150), (97, 300), (32, 57)]
PAIRED = 8
TEXTS = ["a photo of the cat", "two blue stars on the beach", "", "three red fish at night, " * 12]
TEXT = dict(hidden_act="quick_gelu", projection_dim=12) | {k: v for k, v in architectures.TINY.text.items() if k != "projection_dim"}
VISION = dict(hidden_act="quick_gelu", hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=SIDE, patch_size=8)
VISION |= dict(projection_dim=12)


def build() -> CLIPModel:
    torch.manual_seed(SEED)
    model = CLIPModel(CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=12)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name != "logit_scale":
                parameter.add_(PERTURBATION * torch.randn_like(parameter))
    return model.requires_grad_(False)


def export(model: CLIPModel) -> None:
    """The towers as a pack has them; a tower's weights are the pair's of the same names."""
    weights = model.state_dict()
    towers = {"text": (CLIPTextModelWithProjection, model.config.text_config, components.clip_text),
              "vision": (CLIPVisionModelWithProjection, model.config.vision_config, components.clip_vision)}
    for name, (kind, config, component) in towers.items():
        config._attn_implementation = "sdpa"
        tower = kind(config).eval().requires_grad_(False)
        tower.load_state_dict({key: weights[key] for key in tower.state_dict()})
        made = component(tower)
        graph.write(graph.trace(made), dict(components.parameters(made)), FOLDER / f"{name}_model.onnx")
    write_json(FOLDER / "config.json", model.config.to_diff_dict())


def picture(index: int, width: int, height: int) -> Image.Image:
    """Edges, a ramp and noise: what resampling gets wrong shows."""
    random = np.random.default_rng(SEED + index)
    y, x = np.mgrid[0:height, 0:width]
    planes = [(x * 255 // max(width - 1, 1)), ((x // 3 + y // 5) % 2) * 255, random.integers(0, 256, (height, width))]
    return Image.fromarray(np.stack(planes, -1).astype(np.uint8), "RGB")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    model = build()
    export(model)
    processor = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    config = {key: value for key, value in processor.to_dict().items() if key.startswith(("do_", "image_", "crop", "size", "resample", "rescale"))}
    write_json(FOLDER / "preprocessor_config.json", config | {"image_processor_type": "CLIPImageProcessor"})
    rows, tensors, pixels = [], {}, []
    for index, (width, height) in enumerate(SIZES):
        key, made = f"{width}x{height}", picture(index, width, height)
        prepared = torch.from_numpy(np.asarray(processor(made, return_tensors="np").pixel_values[0], dtype=np.float32))
        rows.append({"key": key, "width": width, "height": height})
        tensors |= {f"{key}/picture": torch.from_numpy(np.array(made)), f"{key}/pixels": prepared.contiguous()}
        pixels.append(prepared)
    ids = tokenizer()(TEXTS, padding="max_length", truncation=True, return_tensors="pt").input_ids
    answer = model(input_ids=ids, pixel_values=torch.stack(pixels[:PAIRED]))
    tensors |= {name: answer[name].contiguous() for name in ("image_embeds", "text_embeds", "logits_per_image")}
    tensors["logit_scale"] = model.logit_scale.exp().reshape(1)
    common.write_json_rows(common.GOLDEN / "clip.json", rows)
    save_file(tensors, common.GOLDEN / "clip.safetensors")
    print(f"clip: {len(rows)} sizes, logits\n{answer.logits_per_image.numpy().round(2)}\n{common.size_of(FOLDER):,} bytes")


if __name__ == "__main__":
    main()
