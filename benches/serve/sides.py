"""The servers that are compared: how each is started, watched, stopped for a while, and ended."""

import contextlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

HERE = Path(__file__).parent
START_SECONDS = 180
IDLE_SECONDS = 600


class Side:
    """One server. While others are measured its process stands still (SIGSTOP), so that not even idle threads compete."""

    def __init__(self, name: str, command: list, work: Path, ours: bool):
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        self.name, self.ours, self.url = name, ours, f"http://127.0.0.1:{port}"
        listen = ["--listen", f"127.0.0.1:{port}"] if ours else ["--port", port]
        self.log = (work / f"{name.replace(' ', '-')}.log").open("w+")
        self.process = subprocess.Popen([str(part) for part in [*command, *listen]], stdout=self.log, stderr=subprocess.STDOUT)

    def wait_until_ready(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return
            time.sleep(0.2)
        self.log.seek(0)
        sys.exit(f"{self.name} did not become ready:\n{self.log.read()[-4000:]}")

    @contextlib.contextmanager
    def awake(self):
        self.process.send_signal(signal.SIGCONT)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGSTOP)

    def end(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def wait_until_idle(self) -> None:
        """Peers go on drawing for clients that have left; the next measurement must not pay for it."""
        end = time.monotonic() + IDLE_SECONDS
        while self.under_way() and time.monotonic() < end:
            time.sleep(0.1)

    def under_way(self) -> float:
        if self.ours:
            values = self.metrics()
            return values.get("plaudit_requests_waiting", 0) + values.get("plaudit_requests_running", 0)
        return httpx.get(f"{self.url}/busy", timeout=60).json()

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics by its name and labels; none for peers."""
        if not self.ours:
            return {}
        lines = httpx.get(f"{self.url}/metrics", timeout=30).text.splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))}

    def peak_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def start(chosen, work: Path) -> list[Side]:
    """All sides that were asked for and can run, ready and standing still. What cannot run is said by name."""
    commands = ours(chosen, work) | theirs(chosen, work)
    names = [name for name in chosen.sides.split(",") if name in commands]
    sides = [Side(name, commands[name], work, name.startswith("plaudit")) for name in names]
    for side in sides:
        side.wait_until_ready()
        side.process.send_signal(signal.SIGSTOP)
    return sides


def ours(chosen, work: Path) -> dict[str, list]:
    base = [chosen.plaudit, "serve", "--pack", chosen.pack, "--device", chosen.device, "--limits-rate", 0, "--limits-sessions", 0, "--engine-threads", chosen.threads]
    unbatched = ["--engine-max-rows", 2]
    return {
        "plaudit": [*base, "--data", work / "data"],
        "plaudit-unbatched": [*base, "--data", work / "data-unbatched", *unbatched],
    }


def theirs(chosen, work: Path) -> dict[str, list]:
    """Exports what the peers need, with the scripts of benches/generate."""
    wanted = {name.split("-")[0] for name in chosen.sides.split(",")}
    checkpoint, exported, commands = work / "checkpoint", work / "optimum", {}
    if {"diffusers", "optimum"} & wanted:
        subprocess.run([sys.executable, HERE.parent / "generate/checkpoint.py", chosen.pack, checkpoint], check=True)
        peer = [sys.executable, HERE / "peer.py", "diffusers", checkpoint, "--threads", chosen.threads]
        commands |= {"diffusers": peer, "diffusers-8": [*peer, "--batch", 8]}
    if "optimum" in wanted and not chosen.optimum_python:
        print("left out: optimum (no --optimum-python)")
    elif "optimum" in wanted:
        command = [chosen.optimum_python, "-m", "optimum.exporters.onnx", "--model", checkpoint, "--task", "text-to-image", exported]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        commands["optimum"] = [chosen.optimum_python, HERE / "peer.py", "optimum", exported, "--threads", chosen.threads]
    return commands


@contextlib.contextmanager
def running(chosen):
    with tempfile.TemporaryDirectory() as folder:
        started = []
        try:
            started = start(chosen, Path(folder))
            yield started
        finally:
            for side in started:
                side.end()
