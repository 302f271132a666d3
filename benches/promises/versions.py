"""Two versions of the bundled pack in a server's registry, and swaps between them."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

PACK = Path(__file__).parents[2] / "onnx/packs/miniature"
WEIGHTS = "unet/model.safetensors"


class Versions:
    """The served pack, and one whose denoiser differs in the last bits of a weight: other files, other sessions, the same pictures."""

    def __init__(self, binary: Path, data: Path, folder: Path):
        self.binary, self.data = binary, data
        shutil.copytree(PACK, folder, dirs_exist_ok=True)
        touch(folder)
        self.serving = self.champion()
        self.other = json.loads(self.plaudit("publish", "generator", str(folder), "--json"))["version"]

    def plaudit(self, *arguments: str) -> str:
        command = [self.binary, "registry", *arguments, "--data", self.data]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"plaudit registry {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def champion(self) -> str:
        aliases = json.loads(self.plaudit("list", "--json"))["aliases"]
        return aliases["generator"]["champion"]

    def swap(self) -> None:
        self.plaudit("promote", "generator", self.other, "--expected", self.serving, "--reason", "soak")
        self.serving, self.other = self.other, self.serving


def touch(folder: Path) -> None:
    """Flips the lowest bit of the last weight, and makes the manifest fit."""
    weights = folder / WEIGHTS
    content = bytearray(weights.read_bytes())
    content[-4] ^= 1
    weights.unlink()
    weights.write_bytes(content)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    unet = manifest["components"]["unet"]
    unet["files"][WEIGHTS]["sha256"] = hashlib.sha256(content).hexdigest()
    lines = "".join(f"{facts['sha256']}  {name}\n" for name, facts in sorted(unet["files"].items()))
    unet["sha256"] = hashlib.sha256(lines.encode()).hexdigest()
    path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
