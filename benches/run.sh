#!/usr/bin/env bash
# Every figure of the README, beside its peers. PYTHON: one with requirements-dev.txt; OPTIMUM_PYTHON: one with optimum-onnx==0.1.0 and diffusers
# (it holds an older transformers, so an environment of its own); without the latter that side is left out.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
cargo build --release --quiet
"$python" benches/generate/compare.py --plaudit target/release/plaudit ${OPTIMUM_PYTHON:+--optimum-python "$OPTIMUM_PYTHON"}
cargo bench --quiet -p plaudit-training --bench train_step -- --python "$python"
