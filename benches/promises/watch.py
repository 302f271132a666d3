"""A server and what can be seen of it from outside."""

import contextlib
import time
from pathlib import Path

import httpx

import server

# No limit of requests a second: what is tried here is the engine's and the connections' own limits.
OPEN = ["--limits-rate", "0", "--limits-sessions", "0"]
LONG_STEPS = 40


class Watched:
    """A running server, its metrics and its memory."""

    def __init__(self, url: str, process):
        self.url, self.process = url, process
        self.address = (url.split("//")[1].split(":")[0], int(url.rsplit(":", 1)[1]))

    def metrics(self) -> dict[str, float]:
        lines = httpx.get(f"{self.url}/metrics", timeout=30).text.splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line and line[0] != "#")}

    def memory_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024

    def wait_until_idle(self, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            values = self.metrics()
            if not values["plaudit_requests_waiting"] + values["plaudit_requests_running"]:
                return
            time.sleep(0.05)
        raise RuntimeError("the server does not become idle")

    def draw(self, steps: int = 20, **fields) -> httpx.Response:
        return httpx.post(f"{self.url}/v1/images/generations", json=body(steps, **fields), timeout=120)


def body(steps: int, **fields) -> dict:
    return {"prompt": "two blue stars on the beach", "num_inference_steps": steps, "guidance_scale": 5.0, "seed": 7} | fields


@contextlib.contextmanager
def serving(setting, *options: str, data: Path | None = None):
    with server.serving(setting.binary, *OPEN, *options, with_key=False, data=data) as (url, _, process):
        yield Watched(url, process)


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
