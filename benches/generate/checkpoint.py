"""A pack as a diffusers checkpoint, so that the peers draw with the very same weights.

    python benches/generate/checkpoint.py PACK CHECKPOINT

Needs a pack whose weights carry PyTorch's names (one that `onnx/export.py` or `plaudit-train` wrote). Weights are read through the graph, since small ones
are embedded in it.
"""

import json
import shutil
import sys
from pathlib import Path

import onnx
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from onnx import numpy_helper
from safetensors.torch import save_file


def config(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Every float tensor of the component; names with dots are parameters, the rest the graph's own constants."""
    graph = onnx.load(folder / "model.onnx").graph
    floats = [i for i in graph.initializer if i.data_type == onnx.TensorProto.FLOAT and "." in i.name]
    return {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in floats}


def main():
    pack, out = Path(sys.argv[1]), Path(sys.argv[2])
    unet = UNet2DConditionModel.from_config(config(pack / "unet"))
    unet.load_state_dict(weights(pack / "unet"))
    unet.save_pretrained(out / "unet")
    vae = AutoencoderKL.from_config(config(pack / "vae_decoder"))
    vae.load_state_dict(weights(pack / "vae_encoder") | weights(pack / "vae_decoder"))
    vae.save_pretrained(out / "vae")
    for name in ("tokenizer", "scheduler", "text_encoder"):
        shutil.copytree(pack / name, out / name, ignore=shutil.ignore_patterns("*.onnx"), dirs_exist_ok=True)
    save_file(weights(pack / "text_encoder"), out / "text_encoder/model.safetensors", metadata={"format": "pt"})
    shutil.copy(pack / "model_index.json", out / "model_index.json")


if __name__ == "__main__":
    main()
