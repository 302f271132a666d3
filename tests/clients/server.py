"""Starts `plaudit serve` for tests: free port, data directory of its own, a key; stopped when the context ends.

    python tests/clients/server.py BINARY [CLIENT …]     runs run.py's clients against fresh servers
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

START_SECONDS = 120
STOP_SECONDS = 40
ROOT = Path(__file__).resolve().parents[2]
KEY = re.compile(r"plaudit_[A-Za-z0-9_-]{20,}")
# Everything a client may do without being slowed down; and a limit that a few requests reach.
ORDINARY = ["--limits-rate", "0"]
STRICT = ["--limits-rate", "30", "--limits-burst", "2"]
# Whatever fits these limits is drawn in a moment.
SMALL = [*ORDINARY, "--limits-max-steps", "4", "--limits-max-pictures", "2", "--limits-max-side", "64", "--best-of-max", "4"]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def make_key(binary: Path, data: Path, role: str = "client") -> str:
    command = [binary, "keys", "create", "--data", data, "--role", role, "clients"]
    made = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    found = KEY.search(made.stdout)
    if made.returncode or not found:
        sys.exit(f"{' '.join(map(str, command))} gave no key:\n{made.stdout}{made.stderr}")
    return found.group()


def publish(binary: Path, data: Path) -> None:
    """Versions of the bundled reward, one promoted over another: there is something to promote and to go back to."""

    def registry(*arguments: str) -> str:
        done = subprocess.run([str(binary), "registry", *arguments, "--data", str(data)], capture_output=True, text=True, cwd=ROOT, check=False)
        if done.returncode:
            sys.exit(f"plaudit registry {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    champion = "none"
    for name in ["first", "second", "third"]:
        source = data / "sources" / name
        shutil.copytree(ROOT / "onnx/packs/miniature/reward", source)
        manifest = json.loads((source / "manifest.json").read_text(encoding="utf-8")) | {"name": name}
        (source / "manifest.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        version = registry("publish", "reward", str(source))
        if name != "third":
            registry("promote", "reward", version, "--expected", champion, "--reason", "for tests")
            champion = version
    # A generator to be tried: the bundled pack with another line break.
    source = data / "sources" / "pack"
    shutil.copytree(ROOT / "onnx/packs/miniature", source, ignore=shutil.ignore_patterns("reward", "record"))
    index = source / "model_index.json"
    index.write_bytes(index.read_bytes() + b"\n")
    manifest = json.loads((source / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"][index.name] = {"sha256": hashlib.sha256(index.read_bytes()).hexdigest(), "bytes": index.stat().st_size}
    (source / "manifest.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    registry("publish", "generator", str(source))


@contextlib.contextmanager
def serving(binary: Path, *options: str, with_key: bool = True, role: str = "client", data: Path | None = None):
    """The address and key of a server that is ready; its data directory is new and removed, unless one is given."""
    with tempfile.TemporaryDirectory() as folder:
        data = data or Path(folder) / "data"
        key = make_key(binary, data, role) if with_key else ""
        if role == "admin":
            publish(binary, data)
        address = f"127.0.0.1:{free_port()}"
        log = (Path(folder) / "log").open("w+")
        command = [str(binary), "serve", "--listen", address, "--data", str(data), *options]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until_ready(f"http://{address}", process, log)
            yield f"http://{address}", key, process
        finally:
            stop(process)
            log.close()


def wait_until_ready(url: str, process, log) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError, urllib.error.URLError):
            if urllib.request.urlopen(f"{url}/readyz", timeout=1).status == 200:
                return
        time.sleep(0.1)
    log.seek(0)
    sys.exit(f"the server did not become ready:\n{log.read()[-4000:]}")


def stop(process) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main():
    binary = Path(sys.argv[1]).resolve()
    servers = {"": ORDINARY, "STRICT_": STRICT, "SMALL_": SMALL}
    given = {}
    with contextlib.ExitStack() as running:
        for name, options in servers.items():
            # Operators' routes are operations too.
            role = "admin" if options is SMALL else "client"
            url, key, _ = running.enter_context(serving(binary, *options, role=role))
            given |= {f"PLAUDIT_{name}URL": url, f"PLAUDIT_{name}KEY": key}
        tests = subprocess.run([sys.executable, Path(__file__).with_name("run.py"), *sys.argv[2:]], env=os.environ | given, check=False)
    sys.exit(tests.returncode)


if __name__ == "__main__":
    main()
