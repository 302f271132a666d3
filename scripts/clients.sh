#!/usr/bin/env bash
# The clients that people really use, against a running server:
#   scripts/clients.sh                          starts target/debug/plaudit (or $PLAUDIT) on a free port, with a key
#   scripts/clients.sh http://127.0.0.1:8080    uses a server that runs already (PLAUDIT_KEY: its key, where it needs one)
#   CLIENTS="openai webuiapi" scripts/clients.sh
# PYTHON: one with requirements-dev.txt. A client that is not installed there is named and counted as skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-}
if [ -z "$python" ]; then
  python=python3
  [ -x .venv/bin/python ] && python=.venv/bin/python
fi
if ! "$python" -c 'import httpx, PIL' 2>/dev/null; then
  echo "skipped: client tests need a Python with requirements-dev.txt; $python lacks httpx or Pillow (set PYTHON)"
  echo "clients: 0 passed, 0 failed, 4 skipped"
  exit 0
fi
read -ra clients <<<"${CLIENTS:-}"
if [ $# -gt 0 ]; then
  PLAUDIT_URL=$1 exec "$python" tests/clients/run.py "${clients[@]}"
fi
binary=${PLAUDIT:-target/debug/plaudit}
[ -x "$binary" ] || cargo build --quiet --bin plaudit
exec "$python" tests/clients/server.py "$binary" "${clients[@]}"
