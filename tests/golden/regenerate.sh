#!/usr/bin/env bash
# Makes every fixture anew, and the miniature pack's graphs. Same versions, same processor family: same files.
#   PYTHON=.venv/bin/python OPTIMUM_PYTHON=.venv-optimum/bin/python tests/golden/regenerate.sh
# Without OPTIMUM_PYTHON the optimum fixtures stay as they are.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
scripts=tests/golden/scripts
checkpoint=$(mktemp -d)
trap 'rm -rf "$checkpoint"' EXIT

"$python" onnx/export.py --config miniature --no-weights onnx/packs/miniature
"$python" $scripts/gradients.py
"$python" $scripts/noise.py
"$python" $scripts/trajectories.py
"$python" $scripts/tiny_pipeline.py "$checkpoint"
"$python" $scripts/tokens.py
"$python" $scripts/runs.py
"$python" $scripts/img2img.py
"$python" $scripts/interval.py
"$python" $scripts/clip.py
if [ -n "${OPTIMUM_PYTHON:-}" ]; then "$OPTIMUM_PYTHON" $scripts/optimum_run.py "$checkpoint"; fi
"$python" $scripts/census.py
git status --short -- tests/golden training/tests/golden onnx/packs/miniature
