#!/usr/bin/env bash
# Everything that a GPU is to be measured for, in one go; docs/cuda.md tells how to prepare it, and which of this has ever been run.
#   benches/cuda.sh build                            on any x86-64 machine: release binaries and SD v1.5's graphs into target/cuda/
#   benches/cuda.sh run [--quick] [--device cpu]     on the machine with the GPU: all measurements into target/cuda/results/
# ORT_DYLIB_PATH: libonnxruntime.so of onnxruntime-gpu 1.31.1. PYTHON: one with requirements-dev.txt; `build` needs it, `run` only for loads over HTTP.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
kit=target/cuda

build() {
  mkdir -p "$kit"
  cargo build --release --bin plaudit
  bench=$(cargo bench -p plaudit-training --bench cuda --no-run --message-format json | grep -o '"executable":"[^"]*/cuda-[^"]*"' | cut -d'"' -f4 | tail -n 1)
  cp target/release/plaudit "$kit/plaudit"
  cp "$bench" "$kit/measure"
  # Graphs and the rules that draw weights: some MB instead of 4.3 GB.
  "$python" onnx/export.py --config sd15-random --no-weights "$kit/sd15-export"
  du -sh "$kit"
}

device=cuda
quick=
options() {
  while [ $# -gt 0 ]; do
    case $1 in
      --quick) quick=yes ;;
      --device) device=$2; shift ;;
      *) echo "unknown option $1" >&2; exit 2 ;;
    esac
    shift
  done
}

# Name, then a command. Its output goes to the screen and to a file; a failure is noted, and the rest goes on.
failed=()
measure() {
  local name=$1; shift
  echo "== $name: $*"
  if ! "$@" 2>&1 | tee "$results/$name.txt"; then failed+=("$name"); fi
}

machine() {
  nvidia-smi || echo "no nvidia-smi"
  lscpu | grep -E 'Model name|^CPU\(s\)'
  "$kit/plaudit" --version
  echo "ORT_DYLIB_PATH=${ORT_DYLIB_PATH:-not set}"
}

prepare_pack() {
  if [ -n "$quick" ]; then
    pack=onnx/packs/miniature unet=onnx/packs/miniature/unet tokens=24
    return
  fi
  pack=$kit/sd15 unet=$kit/sd15-export/unet tokens=77
  [ -d "$pack" ] && return
  [ -d "$kit/sd15-whole" ] || "$kit/measure" materialise "$kit/sd15-export" "$kit/sd15-whole"
  "$kit/plaudit" pack import "$kit/sd15-whole" --output "$pack"
}

run() {
  results=$kit/results
  mkdir -p "$results"
  prepare_pack
  local rows=1,2,4,8,16,32 calls=20 steps=20,50 runs=5 counts=1,4 swaps=20 train_rows=1,4,8 tune_rows=1,4 train_steps=10 at_once=32
  if [ -n "$quick" ]; then rows=1,2 calls=2 steps=2 runs=1 counts=1 swaps=2 train_rows=1 tune_rows=1 train_steps=1 at_once=2; fi
  measure machine machine
  measure verify "$kit/plaudit" pack verify "$pack" --device "$device"
  measure unet "$kit/measure" unet --pack "$pack" --device "$device" --rows $rows --calls $calls --cache "$kit/variants"
  measure images "$kit/measure" images --pack "$pack" --device "$device" --steps $steps --runs $runs --count $counts
  measure sessions "$kit/measure" sessions --pack "$pack" --device "$device" --swaps $swaps --rows $at_once
  measure terminate "$kit/measure" terminate --pack "$pack" --device "$device" --rows $at_once
  measure train "$kit/measure" train --unet "$unet" --tokens $tokens --device "$device" --rows $train_rows --steps $train_steps
  measure train_tf32 "$kit/measure" train --unet "$unet" --tokens $tokens --device "$device" --rows $train_rows --steps $train_steps --tf32
  measure finetune "$kit/measure" train --tune --unet "$unet" --tokens $tokens --device "$device" --rows $tune_rows --steps $train_steps
  measure_serving
  [ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}"; exit 1; }
  echo "all measured: $results"
}

measure_serving() {
  if ! "$python" -c 'import httpx' 2>/dev/null; then
    echo "left out: serving ($python has no httpx)" | tee "$results/serving.txt"
    return
  fi
  local load=(--steps '[20, 50]' --clients '[1, 2, 4, 8, 16, 32]' --shares '[0.8]' --rounds 1)
  [ -z "$quick" ] || load=(--quick)
  measure serving "$python" benches/serve/compare.py --plaudit "$kit/plaudit" --pack "$pack" --device "$device" \
    --sides plaudit,plaudit-unbatched --json "$results/serving.json" "${load[@]}"
}

command=${1:-}
[ $# -gt 0 ] && shift
case $command in
  build) build ;;
  run) options "$@"; run ;;
  *) sed -n '2,5p' "$0"; exit 2 ;;
esac
