#!/usr/bin/env bash
# Fetches ONNX Runtime once, into .ort/libonnxruntime.so. Nothing is fetched when the right library is there.
set -euo pipefail
cd "$(dirname "$0")/.."
version=1.31.1
case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) platform=manylinux_2_27_x86_64 sha=fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3 ;;
  *) echo "setup: no ONNX Runtime is pinned for $(uname -s) $(uname -m); set ORT_DYLIB_PATH to a libonnxruntime $version of yours" >&2; exit 1 ;;
esac
library=.ort/libonnxruntime.so
check() { [ -f "$1" ] && [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$sha" ]; }
check "$library" && exit 0
mkdir -p .ort
work=$(mktemp -d .ort/fetch.XXXXXX)
trap 'rm -rf "$work"' EXIT
echo "setup: fetching ONNX Runtime $version ($platform)"
python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
  --platform "$platform" --platform manylinux_2_28_x86_64 -d "$work" "onnxruntime==$version"
unzip -q -j "$work"/*.whl "onnxruntime/capi/libonnxruntime.so.*" -d "$work"
mv "$work"/libonnxruntime.so.* "$work/libonnxruntime.so"
check "$work/libonnxruntime.so" || { echo "setup: the library's SHA-256 is not the pinned one; nothing was installed" >&2; exit 1; }
mv -f "$work/libonnxruntime.so" "$library"
echo "setup: $library is ready"
