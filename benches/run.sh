#!/usr/bin/env bash
# Every figure of the README, beside its peers: about an hour on two quiet cores. Names of parts run only those:
#   benches/run.sh generate train finetune engine serve while-training score votes promises
# PYTHON: one with requirements-dev.txt (and fastapi, uvicorn, httpx for `serve`, httpx for `while-training`). OPTIMUM_PYTHON: one with optimum-onnx==0.1.0 and diffusers (it holds an older
# transformers, so an environment of its own), and fastapi, uvicorn; without it that side is left out.
# INFINITY_PYTHON: one with infinity-emb, for `score`; without it that side is left out.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
optimum=${OPTIMUM_PYTHON:+--optimum-python "$OPTIMUM_PYTHON"}
cargo build --release --quiet
for part in ${*:-generate train finetune engine serve while-training score votes promises}; do
  printf '\n## %s\n\n' "$part"
  case $part in
    generate) "$python" benches/generate/compare.py --plaudit target/release/plaudit $optimum ;;
    train) cargo bench --quiet -p plaudit-training --bench train_step -- --python "$python" ;;
    finetune)
      cargo bench --quiet -p plaudit-training --bench train_step -- --python "$python" --batch 16 --objective reward-weighted,signed-target,kto
      ;;
    engine) cargo bench --quiet -p plaudit --bench engine ;;
    serve) "$python" benches/serve/compare.py --plaudit target/release/plaudit $optimum ;;
    while-training)
      cargo build --release --quiet --workspace --bins
      "$python" benches/while_training/run.py --plaudit target/release/plaudit --json target/while-training.json
      ;;
    score)
      cargo build --release --quiet --bench score
      "$python" benches/score/compare.py ${INFINITY_PYTHON:+--infinity-python "$INFINITY_PYTHON"}
      ;;
    votes)
      cargo bench --quiet -p plaudit --bench votes
      cargo bench --quiet -p plaudit --bench votes -- --batch 20 --rate 4000
      ;;
    promises) "$python" benches/promises/run.py ;;
    *) echo "no part $part" >&2; exit 1 ;;
  esac
done
