#!/usr/bin/env bash
# Exports SD v1.5's exact configuration with random weights, then imports, verifies and draws with it, and takes a step of LoRA: 25 GB of disk.
# Then the experiment at its small size, by the very script of `make experiment-quick`: about a quarter of an hour.
# PYTHON: one with requirements-dev.txt. PLAUDIT_SD15_EXPORT: an export made before; kept.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${PLAUDIT_SD15_EXPORT:-}" ]; then
  folder=$(mktemp -d target/sd15.XXXXXX)
  trap 'rm -rf "$folder"' EXIT
  "${PYTHON:-python3}" onnx/export.py --config sd15-random "$folder/export"
  export PLAUDIT_SD15_EXPORT=$PWD/$folder/export
fi
cargo test --release --workspace --test sd15 -- --ignored --nocapture
cargo test --release --workspace --test finetune sd15 -- --ignored --nocapture
cargo test --release --workspace --test simulate quick -- --ignored --nocapture
