"""schemathesis, all checks, no exclusions: generated requests against what /openapi.json says; every operation must answer 2xx at least once."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import httpx
import schemathesis  # noqa: F401  a missing one is told by name
from harness import BASE, HEADERS, PROMPT, Cases, expect

case = Cases("schemathesis")
HERE = Path(__file__).parent
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
EXAMPLES = os.environ.get("PLAUDIT_CONTRACT_EXAMPLES", "25")
SEED = os.environ.get("PLAUDIT_CONTRACT_SEED", "1")
TIMEOUT = "180"
# A server with small limits, which its document tells: many short requests find more than a few long ones.
URL = os.environ.get("PLAUDIT_SMALL_URL", "").rstrip("/") or BASE
KEY = os.environ.get("PLAUDIT_SMALL_KEY", "")


@case
def every_operation_keeps_its_contract_and_answers_2xx():
    schema = httpx.get(f"{URL}/openapi.json").raise_for_status().json()
    operations = {f"{method.upper()} {path}" for path, item in schema["paths"].items() for method in item if method in METHODS}
    with tempfile.TemporaryDirectory() as folder:
        seen = Path(folder) / "statuses"
        seen.touch()
        for name in ("schemathesis.toml", "contract_hooks.py"):
            shutil.copy(HERE / name, folder)
        command = [Path(sys.executable).parent / "schemathesis", "--config-file", "schemathesis.toml", "run", f"{URL}/openapi.json"]
        command += ["--checks", "all", "--max-examples", EXAMPLES, "--seed", SEED, "--continue-on-failure", "--request-timeout", TIMEOUT, "--no-color"]
        headers = {"Authorization": f"Bearer {KEY}"} if KEY else HEADERS
        command += [part for name, value in headers.items() for part in ("--header", f"{name}: {value}")]
        environment = os.environ | {"PLAUDIT_STATUSES": str(seen), "PLAUDIT_PICTURE": drawn(headers), "PLAUDIT_REGISTRY": URL, "PLAUDIT_REGISTRY_KEY": KEY}
        ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        statuses = defaultdict(Counter)
        for line in seen.read_text(encoding="utf-8").splitlines():
            operation, status = json.loads(line)
            statuses[operation][status] += 1
    # schemathesis reads the document and leaves its address out of what it tests.
    statuses["GET /openapi.json"][200] += 1
    table = "\n".join(f"{operation}: {dict(sorted(statuses[operation].items()))}" for operation in sorted(operations))
    expect(ended.returncode == 0, f"it ended with {ended.returncode}; it printed:\n{shortened(ended.stdout + ended.stderr)}\n{table}")
    never = sorted(operation for operation in operations if not any(200 <= status < 300 for status in statuses[operation]))
    expect(not never, f"no 2xx from {never}\n{table}")
    return f"{ended.stdout.strip().splitlines()[-1]}\n{table}"


def drawn(headers: dict[str, str]) -> str:
    """The name of a picture that is there: schemathesis finds one only where its dice fall so."""
    body = {"prompt": PROMPT, "num_inference_steps": 2, "response_format": "url"}
    answer = httpx.post(f"{URL}/v1/images/generations", json=body, headers=headers, timeout=60).raise_for_status()
    return answer.json()["data"][0]["image_id"]


def shortened(text: str, characters: int = 60_000) -> str:
    path = os.environ.get("PLAUDIT_CONTRACT_LOG")
    if path:
        Path(path).write_text(text, encoding="utf-8")
    return text[-characters:]
