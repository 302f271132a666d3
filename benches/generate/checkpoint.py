"""A pack as a diffusers checkpoint, so that the peers draw with the very same weights.

    python benches/generate/checkpoint.py PACK CHECKPOINT

Needs a pack whose safetensors carry PyTorch's names (one that `onnx/export.py` or `plaudit-train` wrote).
"""

import json
import shutil
import sys
from pathlib import Path

from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file


def config(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def main():
    pack, out = Path(sys.argv[1]), Path(sys.argv[2])
    unet = UNet2DConditionModel.from_config(config(pack / "unet"))
    unet.load_state_dict(load_file(pack / "unet/model.safetensors"))
    unet.save_pretrained(out / "unet")
    vae = AutoencoderKL.from_config(config(pack / "vae_decoder"))
    vae.load_state_dict(load_file(pack / "vae_encoder/model.safetensors") | load_file(pack / "vae_decoder/model.safetensors"))
    vae.save_pretrained(out / "vae")
    for name in ("tokenizer", "scheduler", "text_encoder"):
        shutil.copytree(pack / name, out / name, ignore=shutil.ignore_patterns("*.onnx"), dirs_exist_ok=True)
    text = load_file(pack / "text_encoder/model.safetensors")
    save_file(text, out / "text_encoder/model.safetensors", metadata={"format": "pt"})
    shutil.copy(pack / "model_index.json", out / "model_index.json")


if __name__ == "__main__":
    main()
