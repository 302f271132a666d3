"""The tiny random Stable Diffusion that the parity fixtures run, as a diffusers pipeline, and its exports.

    python tests/golden/scripts/tiny_pipeline.py CHECKPOINT     writes the diffusers checkpoint there and tests/golden/tiny_sd
"""

import shutil
import subprocess
import sys
from pathlib import Path

import common
import torch
from diffusers import PNDMScheduler, StableDiffusionPipeline
from safetensors.torch import save_file
from transformers import CLIPTokenizer

from exporting import architectures
from exporting.vocabulary import write_json, write_tokenizer

SEED = 4
WORDS = "a photo of the two three four stars star heart fish blue red green on beach city night cat dog it's don't in".split()
# Random weights as they come hardly look at their inputs. These gains make every setting move the picture while f32 stays within 1e-4 of f64.
GAINS = {"attn2.to_out.0.weight": 6.0, "attn2.to_v.weight": 2.0, "conv_out.weight": 2.0}
EMBEDDING_GAIN = 10.0


def build() -> StableDiffusionPipeline:
    """The pipeline with seeded random weights; scheduler and tokenizer as SD v1.5 has them, vocabulary aside."""
    unet = architectures.seeded(architectures.build_unet, architectures.TINY, SEED)
    text_encoder = architectures.seeded(architectures.build_text_encoder, architectures.TINY, SEED)
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            parameter.mul_(next((gain for end, gain in GAINS.items() if name.endswith(end)), 1.0))
        text_encoder.embeddings.token_embedding.weight.mul_(EMBEDDING_GAIN)
    return StableDiffusionPipeline(
        vae=architectures.seeded(architectures.build_vae, architectures.TINY, SEED),
        text_encoder=text_encoder,
        tokenizer=tokenizer(),
        unet=unet,
        scheduler=PNDMScheduler.from_config(architectures.SCHEDULER),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def tokenizer() -> CLIPTokenizer:
    folder = common.GOLDEN / "tiny_sd/tokenizer"
    if not folder.exists():
        text = architectures.TINY.text
        write_tokenizer(folder, text["vocab_size"], text["max_position_embeddings"], WORDS)
    return CLIPTokenizer.from_pretrained(folder)


def save(checkpoint: Path) -> None:
    """A checkpoint whose scheduler, tokenizer and text weights' names are the original ones, not what newer libraries write back."""
    shutil.rmtree(common.GOLDEN / "tiny_sd", ignore_errors=True)
    pipeline = build()
    pipeline.save_pretrained(checkpoint)
    original = {f"text_model.{name}": value for name, value in pipeline.text_encoder.state_dict().items()}
    save_file(original, checkpoint / "text_encoder/model.safetensors", metadata={"format": "pt"})
    write_json(checkpoint / "scheduler/scheduler_config.json", architectures.SCHEDULER)
    shutil.rmtree(checkpoint / "tokenizer")
    shutil.copytree(common.GOLDEN / "tiny_sd/tokenizer", checkpoint / "tokenizer")


def main():
    checkpoint = Path(sys.argv[1])
    save(checkpoint)
    subprocess.run([sys.executable, common.ROOT / "onnx/export.py", checkpoint, common.GOLDEN / "tiny_sd"], check=True)
    print(f"tiny_sd: {common.size_of(common.GOLDEN / 'tiny_sd'):,} bytes")


if __name__ == "__main__":
    main()
