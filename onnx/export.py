"""Exports a Stable Diffusion to ONNX in diffusers' layout: a development tool, never used at run time.

    python onnx/export.py DIR OUT                                a diffusers checkpoint
    python onnx/export.py --config miniature --no-weights OUT    graphs and initialisation rules only
    python onnx/export.py --config sd15-random OUT               SD v1.5's configuration, random weights (4.3 GB)

Each component is `model.onnx` (opset 18, dynamo exporter, SDPA attention, dynamic `batch`) beside `model.safetensors`, which holds every parameter under
PyTorch's name in the safetensors library's own order; the graph's external data points into it by absolute offset. `timestep` is f32 [batch].
"""

import argparse
import gc
import json
import shutil
from pathlib import Path

import torch

from exporting import architectures, components, graph, initialise
from exporting.vocabulary import write_json, write_tokenizer

TOKENIZER_WORDS = ["a", "photo", "of", "the", "cat", "dog", "star", "heart", "fish", "red", "blue", "green", "on", "beach", "two", "in"]
PACK_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.42.1",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", nargs="?", type=Path, help="a diffusers directory")
    parser.add_argument("out", type=Path, help="where the pack is written")
    parser.add_argument("--config", choices=sorted(architectures.ARCHITECTURES), help="a built-in configuration instead of a directory")
    parser.add_argument("--no-weights", action="store_true", help="write graphs and init.json only")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights (default 0)")
    parser.add_argument("--unet-widths", type=json.loads, help="UNet block widths of a built-in configuration, for instance [48,96,128]")
    parser.add_argument("--exporter", choices=["dynamo", "legacy"], default="dynamo")
    chosen = parser.parse_args()
    if chosen.no_weights and (chosen.config is None or chosen.exporter != "dynamo"):
        parser.error("--no-weights is for built-in configurations and the dynamo exporter")
    if (chosen.source is None) == (chosen.config is None):
        parser.error("give either a diffusers directory or --config")
    return chosen


def export(name: str, model, path: Path, chosen) -> None:
    """Writes one component: graph, weights, or without them the rules that make initial ones."""
    component = components.BUILDERS[name](model)
    parameters = components.parameters(component)
    traced = graph.trace(component, chosen.exporter)
    graph.write(traced, parameters, path, with_weights=not chosen.no_weights)
    if chosen.no_weights:
        rules = initialise.rules(component.module, component.prefix)
        initialise.check(rules, parameters)
        stem = path.stem.removesuffix("_model").replace("model", "")
        write_rules(path.with_name(f"{stem}_init.json" if stem else "init.json"), rules)
    size = sum(parameter.numel() for parameter in parameters.values())
    print(f"{path}: {len(traced.graph.node)} nodes, {size:,} parameters", flush=True)
    gc.collect()


def write_rules(path: Path, rules: list[dict]) -> None:
    """One rule a line, for readable diffs."""
    lines = ",\n  ".join(json.dumps(rule) for rule in rules)
    path.write_text(f"[\n  {lines}\n]\n", encoding="utf-8")


def export_components(build, out: Path, chosen) -> None:
    """`build(name)` gives a component's PyTorch model; one is in memory at a time."""
    export("text_encoder", build("text_encoder"), out / "text_encoder/model.onnx", chosen)
    vae = build("vae")
    export("vae_encoder", vae, out / "vae_encoder/model.onnx", chosen)
    export("vae_decoder", vae, out / "vae_decoder/model.onnx", chosen)
    for folder in ("vae_encoder", "vae_decoder"):
        vae.save_config(out / folder)
    del vae
    gc.collect()
    unet = build("unet")
    unet.save_config(out / "unet")
    export("unet", unet, out / "unet/model.onnx", chosen)


def from_config(chosen) -> None:
    architecture = architectures.ARCHITECTURES[chosen.config]
    if chosen.unet_widths:
        architecture = architectures.with_unet_width(architecture, chosen.unet_widths)
    makers = {
        "text_encoder": architectures.build_text_encoder,
        "vae": architectures.build_vae,
        "unet": architectures.build_unet,
    }

    def build(name):
        return architectures.seeded(makers[name], architecture, chosen.seed)

    out = chosen.out
    export_components(build, out, chosen)
    write_config(architectures.clip_text_config(architecture), "CLIPTextModel", out / "text_encoder/config.json")
    write_json(out / "scheduler/scheduler_config.json", architectures.SCHEDULER)
    write_json(out / "model_index.json", PACK_INDEX)
    if architecture.vision:
        export_clip(architecture, out / "clip", chosen)
    if chosen.config != "miniature":
        text = architecture.text
        write_tokenizer(out / "tokenizer", text["vocab_size"], text["max_position_embeddings"], TOKENIZER_WORDS)


def export_clip(architecture, folder: Path, chosen) -> None:
    """The scoring pair: text_model.onnx and vision_model.onnx, weights beside each."""
    for name, build, file in (
        ("clip_text", architectures.build_clip_text, "text_model.onnx"),
        ("clip_vision", architectures.build_clip_vision, "vision_model.onnx"),
    ):
        export(name, architectures.seeded(build, architecture, chosen.seed), folder / file, chosen)
    write_config(architectures.clip_config(architecture), "CLIPModel", folder / "config.json")


def write_config(config, architecture: str, path: Path) -> None:
    config.architectures = [architecture]
    config.dtype = torch.float32
    path.parent.mkdir(parents=True, exist_ok=True)
    config.to_json_file(path)


def from_directory(chosen) -> None:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    source, out = chosen.source, chosen.out
    loaders = {
        "text_encoder": lambda: CLIPTextModel.from_pretrained(source / "text_encoder", attn_implementation=architectures.ATTENTION),
        "vae": lambda: AutoencoderKL.from_pretrained(source / "vae"),
        "unet": lambda: UNet2DConditionModel.from_pretrained(source / "unet"),
    }
    export_components(lambda name: loaders[name]().eval().float().requires_grad_(False), out, chosen)
    for name in ("tokenizer", "scheduler", "model_index.json"):
        copy = shutil.copytree if (source / name).is_dir() else shutil.copy
        copy(source / name, out / name, **({"dirs_exist_ok": True} if copy is shutil.copytree else {}))
    for name, origin in (("text_encoder", "text_encoder"), ("unet", "unet"), ("vae_encoder", "vae"), ("vae_decoder", "vae")):
        shutil.copy(source / origin / "config.json", out / name / "config.json")


if __name__ == "__main__":
    options = arguments()
    from_directory(options) if options.source else from_config(options)
