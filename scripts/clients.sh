#!/usr/bin/env bash
# The clients that people really use, against a running server:
#   scripts/clients.sh                          starts target/debug/plaudit (or $PLAUDIT) on a free port, with a key
#   scripts/clients.sh http://127.0.0.1:8080    uses a server that runs already (PLAUDIT_KEY: its key, where it needs one)
#   scripts/clients.sh --install                only makes the environment
#   CLIENTS="openai webuiapi" scripts/clients.sh
# PYTHON: one that has tests/clients/requirements.txt; without it they are installed into .venv-clients. Where that fails the tests are counted as skipped.
# REQUIRE=1: what is missing fails by name instead.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv-clients/bin/python}
requirements=tests/clients/requirements.txt
if [ -z "${PYTHON:-}" ] && ! cmp -s "$requirements" .venv-clients/installed; then
  echo "clients: installing $requirements into .venv-clients (once)"
  python3 -m venv .venv-clients && "$python" -m pip install --quiet --disable-pip-version-check -r "$requirements" &&
    cp "$requirements" .venv-clients/installed || true
fi
[ "${1:-}" != --install ] || exit 0
if ! "$python" -c 'import httpx, PIL' 2>/dev/null; then
  echo "skipped: client tests need a Python with $requirements; $python lacks it (set PYTHON)"
  echo "clients: 0 passed, 0 failed, 4 skipped"
  [ "${REQUIRE:-}" != 1 ] || { echo "clients: REQUIRE=1, and the clients are missing" >&2; exit 1; }
  exit 0
fi
read -ra clients <<<"${CLIENTS:-}"
if [ $# -gt 0 ]; then
  PLAUDIT_URL=$1 exec "$python" tests/clients/run.py "${clients[@]}"
fi
binary=${PLAUDIT:-target/debug/plaudit}
[ -n "${PLAUDIT:-}" ] || cargo build --quiet --workspace --bin plaudit
exec "$python" tests/clients/server.py "$binary" "${clients[@]}"
