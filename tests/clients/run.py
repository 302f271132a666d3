"""Every client in turn, against the server at PLAUDIT_URL; see scripts/clients.sh.

    python tests/clients/run.py [openai] [huggingface_hub] [webuiapi] [schemathesis]

REQUIRE=1: what would be skipped because something is missing fails.
"""

import importlib
import os
import sys

CLIENTS = {
    "openai": "openai_client",
    "huggingface_hub": "huggingface_client",
    "webuiapi": "webui_client",
    "schemathesis": "contract",
}


def main():
    chosen = sys.argv[1:] or list(CLIENTS)
    total = {"passed": 0, "failed": 0, "skipped": 0}
    missing = []
    for client in chosen:
        outcomes = cases_of(client)
        missing += [client] if outcomes.get("skipped") else []
        for outcome, count in outcomes.items():
            total[outcome] += count
    print("clients: " + ", ".join(f"{count} {outcome}" for outcome, count in total.items()))
    if missing and os.environ.get("REQUIRE") == "1":
        sys.exit(f"clients: REQUIRE=1, and cases were skipped of: {', '.join(missing)}")
    sys.exit(1 if total["failed"] else 0)


def cases_of(client: str) -> dict[str, int]:
    try:
        module = importlib.import_module(CLIENTS[client])
    except ModuleNotFoundError as error:
        print(f"skipped  {client}: {error.name} is not installed in {sys.executable}")
        return {"skipped": 1}
    except Exception as error:
        print(f"FAILED   {client}: {error}")
        return {"failed": 1}
    return module.case.run()


if __name__ == "__main__":
    main()
