"""Whether diffusers reads what `plaudit-train finetune --selection lora` exported, and computes what the pack's golden output says.

python training/tests/golden/finetune_exports.py PARENT DATA TUNED   (pip install -r requirements-dev.txt peft)

PARENT is the pack that was tuned, DATA the run's --data, TUNED its --out. Prints relative L2 distances; in f32 they are below 1e-5.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders.lora_conversion_utils import _convert_non_diffusers_lora_to_diffusers as from_kohya
from safetensors.torch import load_file

parent, data, tuned = map(Path, sys.argv[1:4])
exports = data / "exports"


def wave(*shape):
    """The formula of golden inputs (src/pack/golden.rs)."""
    return torch.tensor(np.sin(0.7 * (np.arange(np.prod(shape)) + 1.0)).astype(np.float32)).reshape(shape)


def base():
    unet = UNet2DConditionModel.from_config(json.loads((parent / "unet/config.json").read_text(encoding="utf-8")))
    weights = load_file(parent / "unet/model.safetensors")
    unet.load_state_dict({name: weights[name] for name in unet.state_dict()})
    return unet


def distance(unet):
    width = unet.config.cross_attention_dim
    with torch.no_grad():
        found = unet.eval()(wave(2, 4, 8, 8), torch.tensor([1.0, 334.0]), encoder_hidden_states=wave(2, 7, width)).sample
    golden = load_file(tuned / "golden.safetensors")["unet/out_sample"]
    return ((found - golden).norm() / golden.norm()).item()


print("parent:", distance(base()), "(far: it was tuned)")
print("diffusers/unet:", distance(UNet2DConditionModel.from_pretrained(exports / "diffusers/unet")))
unet = base()
unet.load_lora_adapter(load_file(exports / "lora/pytorch_lora_weights.safetensors"), prefix="unet")
print("parent + pytorch_lora_weights.safetensors:", distance(unet))
unet = base()
state, alphas = from_kohya(load_file(exports / "lora/kohya.safetensors"))
unet.load_lora_adapter(state, prefix="unet", network_alphas=alphas)
print("parent + kohya.safetensors:", distance(unet))
