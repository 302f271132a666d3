#!/usr/bin/env bash
# Puts ONNX Runtime at .ort/libonnxruntime.so. Fetches only when the pinned library is not there yet.
set -euo pipefail
cd "$(dirname "$0")/.."

version=1.31.1
library=.ort/libonnxruntime.so

# The wheel's platform tags (all that pip may see) and the SHA-256 of the library inside it.
case "$(uname -s)-$(uname -m)" in
  Linux-x86_64)
    tags="manylinux_2_27_x86_64 manylinux_2_28_x86_64"
    sha=fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3 ;;
  Linux-aarch64)
    tags="manylinux_2_27_aarch64 manylinux_2_28_aarch64"
    sha=8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467 ;;
  Darwin-arm64)
    tags="macosx_14_0_arm64"
    sha=d586cbe89effc085a09d3341b3cfbd5c322517f9d397aeb20814af21433f2b36 ;;
  *)
    echo "setup: no ONNX Runtime is pinned for $(uname -s) $(uname -m); put a libonnxruntime $version there yourself: $library" >&2
    exit 1 ;;
esac

sha256() { if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1; }
is_pinned() { [ -f "$1" ] && [ "$(sha256 "$1")" = "$sha" ]; }

has_pip() { python3 -m pip --version >/dev/null 2>&1; }

with_pip() {
  local platforms=() tag
  for tag in $tags; do platforms+=(--platform "$tag"); done
  python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
    "${platforms[@]}" -d "$work" "onnxruntime==$version"
}

# Any PEP 503 index will do; PIP_INDEX_URL is pip's own name for it.
with_curl() {
  local page tag link
  page=$(curl -fsSL "${PIP_INDEX_URL%/}/onnxruntime/")
  for tag in $tags; do
    link=$(grep -o "href=\"[^\"]*onnxruntime-$version-cp312-cp312-[^\"]*$tag[^\"]*\.whl[^\"]*\"" <<<"$page" | head -n 1 | cut -d'"' -f2 || true)
    [ -n "$link" ] && break
  done
  [ -n "$link" ] || { echo "setup: the index at PIP_INDEX_URL has no onnxruntime $version for $tags" >&2; return 1; }
  case "$link" in
    *://*) ;;
    /*) link="$(grep -o '^[a-z]*://[^/]*' <<<"$PIP_INDEX_URL")$link" ;;
    *) link="${PIP_INDEX_URL%/}/onnxruntime/$link" ;;
  esac
  curl -fsSL -o "$work/onnxruntime.whl" "${link%%#*}"
}

licences=.ort/onnxruntime-licences # for whoever passes the library on (scripts/dist.sh)
is_pinned "$library" && [ -d "$licences" ] && exit 0
mkdir -p .ort
work=$(mktemp -d .ort/fetch.XXXXXX)
trap 'rm -rf "$work"' EXIT
echo "setup: fetching ONNX Runtime $version (once; about 20 MB)"
if has_pip; then
  with_pip || failure="pip could not download onnxruntime $version (its words are above)"
else
  failure="python3 has no pip"
fi
if [ -n "${failure:-}" ]; then
  [ -n "${PIP_INDEX_URL:-}" ] || {
    echo "setup: $failure; put that right, or set PIP_INDEX_URL to a Python package index to fetch from it with curl" >&2
    exit 1
  }
  echo "setup: $failure; fetching with curl from PIP_INDEX_URL" >&2
  with_curl
fi
if command -v unzip >/dev/null; then
  unzip -q -j "$work"/*.whl 'onnxruntime/capi/libonnxruntime.*' onnxruntime/LICENSE onnxruntime/ThirdPartyNotices.txt -d "$work"
else
  python3 -m zipfile -e "$work"/*.whl "$work/wheel"
  mv "$work"/wheel/onnxruntime/{capi/libonnxruntime.*,LICENSE,ThirdPartyNotices.txt} "$work"
fi
fetched=$(find "$work" -maxdepth 1 -name 'libonnxruntime.*' | head -n 1)
if ! is_pinned "$fetched"; then
  echo "setup: the library in the wheel has SHA-256 $(sha256 "$fetched"), pinned is $sha; nothing was installed" >&2
  exit 1
fi
mkdir -p "$licences"
mv -f "$work/LICENSE" "$work/ThirdPartyNotices.txt" "$licences"
mv -f "$fetched" "$library"
echo "setup: $library is ready"
