"""A peer scoring, as a process of its own: transformers' CLIP (PyTorch) or infinity-emb's engine, over the weights of a pack.

    python benches/score/peer.py transformers --pack onnx/packs/miniature --batch 16 --requests 33 --side 64 --threads 2

Prints one JSON line: seconds of each request, and the scores of the last one. Pictures and prompts are those of main.rs.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("peer", choices=["transformers", "infinity"])
    parser.add_argument("--pack", type=Path, default=Path("onnx/packs/miniature"))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--requests", type=int, default=33)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save", type=Path, help="write a transformers checkpoint there and leave")
    return parser.parse_args()


def picture(index: int, side: int):
    from PIL import Image

    y, x = np.mgrid[0:side, 0:side]
    planes = [((3 * x + 7 * index) ^ (5 * y * (c + 1))) & 255 for c in range(3)]
    return Image.fromarray(np.stack(planes, -1).astype(np.uint8))


def load(pack: Path):
    """Model, image processor and tokenizer of a pack. `logit_scale` is in no pack: it scales all logits alike."""
    from safetensors.torch import load_file
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    model = CLIPModel(CLIPConfig.from_pretrained(pack / "clip")).eval().requires_grad_(False)
    weights = load_file(pack / "clip/text_model.safetensors") | load_file(pack / "clip/vision_model.safetensors")
    missing, unexpected = model.load_state_dict(weights, strict=False)
    missing = [name for name in missing if name != "logit_scale" and not name.endswith("position_ids")]
    if missing or unexpected:
        raise SystemExit(f"the pack's weights do not fit: missing {missing}, unexpected {unexpected}")
    return model, CLIPImageProcessorPil.from_pretrained(pack / "clip"), CLIPTokenizer.from_pretrained(pack / "tokenizer")


def requests(chosen):
    for request in range(chosen.requests):
        pictures = [picture(request * chosen.batch + i, chosen.side) for i in range(chosen.batch)]
        yield f"{request} blue stars on the beach", pictures


def with_transformers(chosen):
    import torch

    torch.set_num_threads(chosen.threads)
    model, processor, tokenizer = load(chosen.pack)
    seconds, scores = [], None
    with torch.inference_mode():
        for prompt, pictures in requests(chosen):
            began = time.perf_counter()
            ids = tokenizer([prompt], padding="max_length", truncation=True, return_tensors="pt").input_ids
            answer = model(input_ids=ids, pixel_values=processor(pictures, return_tensors="pt").pixel_values)
            scores = (answer.image_embeds @ answer.text_embeds.T)[:, 0].tolist()
            seconds.append(time.perf_counter() - began)
    return seconds, scores


def with_infinity(chosen):
    import asyncio

    import torch
    from infinity_emb import AsyncEmbeddingEngine, EngineArgs

    torch.set_num_threads(chosen.threads)

    async def score():
        settings = EngineArgs(model_name_or_path=str(chosen.pack), engine="torch", device="cpu", batch_size=chosen.batch, model_warmup=False)
        seconds, scores = [], None
        async with AsyncEmbeddingEngine.from_args(settings) as engine:
            for prompt, pictures in requests(chosen):
                began = time.perf_counter()
                (texts, _), (images, _) = await asyncio.gather(engine.embed([prompt]), engine.image_embed(images=pictures))
                scores = (np.stack(images) @ texts[0]).tolist()
                seconds.append(time.perf_counter() - began)
        return seconds, scores

    return asyncio.run(score())


def main():
    chosen = arguments()
    if chosen.save:
        model, processor, tokenizer = load(chosen.pack)
        for part in (model, processor, tokenizer):
            part.save_pretrained(chosen.save)
        return
    seconds, scores = {"transformers": with_transformers, "infinity": with_infinity}[chosen.peer](chosen)
    print(json.dumps({"seconds": seconds, "scores": scores}))


if __name__ == "__main__":
    main()
