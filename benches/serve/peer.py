"""A peer as people serve it: diffusers (PyTorch eager) or optimum (ONNX Runtime) behind FastAPI.

    python benches/serve/peer.py diffusers CHECKPOINT --port 9001 --batch 1 --threads 2

The main thread draws: in another one glibc's allocator makes diffusers take twice as long (0.99 s instead of 0.52 s for twenty steps). With --batch 8 it takes up to eight requests that wait and are alike (steps, guidance) in one call of the pipeline, as a server
that batches whole requests does; with --batch 1 one at a time. The answer has the shape of ours, and `x-model-seconds`: time inside text encoder, UNet and VAE.
"""

import argparse
import asyncio
import base64
import io
import sys
import threading
import time
from pathlib import Path

import torch
import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

sys.path.insert(0, str(Path(__file__).parents[1] / "generate"))
import peer as alone


class Body(BaseModel):
    prompt: str
    n: int = 1
    num_inference_steps: int = 20
    guidance_scale: float = 5.0
    scheduler: str = "euler"
    seed: int = 0

    def alike(self) -> tuple:
        return self.num_inference_steps, self.guidance_scale


class Stopwatch:
    """Adds up the time inside the calls it is wrapped around."""

    def __init__(self):
        self.seconds = 0.0

    def around(self, call):
        def timed(*args, **kwargs):
            began = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - began

        return timed


class Worker:
    """What draws."""

    def __init__(self, pipeline, batch: int):
        self.pipeline, self.batch, self.watch = pipeline, batch, Stopwatch()
        self.waiting, self.changed, self.busy = [], threading.Condition(), 0
        pipeline.unet.forward = self.watch.around(pipeline.unet.forward)
        pipeline.text_encoder.forward = self.watch.around(pipeline.text_encoder.forward)
        pipeline.vae.decode = self.watch.around(pipeline.vae.decode)

    def put(self, body: Body, loop, future) -> None:
        with self.changed:
            self.waiting.append((body, loop, future))
            self.changed.notify()

    def take(self) -> list:
        with self.changed:
            while not self.waiting:
                self.changed.wait()
            kind = self.waiting[0][0].alike()
            taken = [job for job in self.waiting if job[0].alike() == kind][: self.batch]
            self.waiting = [job for job in self.waiting if job not in taken]
            self.busy = len(taken)
            return taken

    def run(self) -> None:
        while True:
            jobs = self.take()
            self.watch.seconds = 0.0
            try:
                result = [(answer, self.watch.seconds) for answer in self.draw([body for body, _, _ in jobs])]
            except Exception as error:
                result = [error] * len(jobs)
            for (_, loop, future), one in zip(jobs, result, strict=True):
                loop.call_soon_threadsafe(settle, future, one)
            self.busy = 0

    def draw(self, bodies: list[Body]) -> list[str]:
        first = bodies[0]
        with torch.no_grad():
            images = self.pipeline(
                [body.prompt for body in bodies],
                num_inference_steps=first.num_inference_steps,
                guidance_scale=first.guidance_scale,
                generator=[torch.Generator("cpu").manual_seed(body.seed) for body in bodies],
            ).images
        return [encoded(image) for image in images]


def settle(future, result) -> None:
    if future.cancelled():
        return
    future.set_exception(result) if isinstance(result, Exception) else future.set_result(result)


def encoded(image) -> str:
    out = io.BytesIO()
    image.save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def application(worker: Worker) -> FastAPI:
    app = FastAPI()

    @app.get("/readyz")
    def ready():
        return Response("ready")

    @app.get("/busy")
    def busy():
        return len(worker.waiting) + worker.busy

    @app.post("/v1/images/generations")
    async def generate(body: Body):
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        worker.put(body, loop, future)
        picture, seconds = await future
        answer = {"created": int(time.time()), "data": [{"b64_json": picture, "seed": body.seed}]}
        return JSONResponse(answer, headers={"x-model-seconds": f"{seconds:.6f}"})

    return app


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("peer", choices=["diffusers", "optimum"])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scheduler", default="euler")
    return parser.parse_args()


def main():
    chosen = arguments()
    pipeline = alone.load(chosen)
    worker = Worker(pipeline, chosen.batch)
    served = {"host": "127.0.0.1", "port": chosen.port, "log_level": "warning", "access_log": False}
    threading.Thread(target=uvicorn.run, args=[application(worker)], kwargs=served, daemon=True).start()
    worker.run()


if __name__ == "__main__":
    main()
