#!/usr/bin/env bash
# Makes target/dist/plaudit-VERSION-OS-ARCH.tar.zst (.tar.gz where zstd is missing): all that a machine without Rust or Python
# needs to serve the bundled pack. The same folder stays unpacked at target/dist/plaudit.
# BINARY: one that was built before, with plaudit-train beside it; by default both are built as releases.
set -euo pipefail
cd "$(dirname "$0")/.."
library=$(find .ort -maxdepth 1 -name 'libonnxruntime.*' | head -n 1)
[ -n "$library" ] || { echo "dist: ONNX Runtime is missing; run: make setup" >&2; exit 1; }

if [ -z "${BINARY:-}" ]; then
  cargo build --quiet --locked --release --workspace --bin plaudit --bin plaudit-train
  BINARY=target/release/plaudit
fi
stage=target/dist/plaudit
rm -rf "$stage"
mkdir -p "$stage/bin" "$stage/lib" "$stage/share/plaudit/packs" "$stage/share/doc/plaudit/onnxruntime"
install -m 755 "$BINARY" "$stage/bin/plaudit"
install -m 755 "$(dirname "$BINARY")/plaudit-train" "$stage/bin/plaudit-train" # serve --with-training starts it
strip --strip-debug "$stage"/bin/* 2>/dev/null || true # smaller; names stay in backtraces
install -m 755 "$library" "$stage/lib/"
cp -R onnx/packs/miniature "$stage/share/plaudit/packs/"
rm -rf "$stage/share/plaudit/packs/miniature/record" # how it was trained: 1 MB that nothing reads
install -m 755 deploy/ready.sh deploy/plaudit.service "$stage/share/plaudit/"
chmod 644 "$stage/share/plaudit/plaudit.service"
cp LICENSE* "$stage/share/doc/plaudit/"
cp .ort/onnxruntime-licences/* "$stage/share/doc/plaudit/onnxruntime/"
python3 scripts/licences.py > "$stage/share/doc/plaudit/DEPENDENCIES.txt"
cp docs/deploy.md docs/metrics.md docs/daemon.md "$stage/share/doc/plaudit/"
cat > "$stage/README" <<'README'
Plaudit serves Stable Diffusion over REST.

  bin/plaudit doctor      what is there, what is missing
  bin/plaudit serve       http://127.0.0.1:8080, with a page at / and the API at /docs
  bin/plaudit serve --with-training
                          the same, and it learns from its votes (share/doc/plaudit/daemon.md)
  bin/plaudit generate "two blue stars on the beach" -n 4 -o out

lib/                      ONNX Runtime
share/plaudit/packs/      the miniature pack, used where no --pack is named
share/plaudit/            a systemd unit
share/doc/plaudit/        how to run it, its metrics, all licences
README

version=$("$stage/bin/plaudit" --version | cut -d' ' -f2)
name=plaudit-$version-$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m)
if command -v zstd >/dev/null; then suffix=tar.zst pack=(zstd -q -T0 -10); else suffix=tar.gz pack=(gzip -9); fi
rm -f target/dist/plaudit-*.tar.*
# Nothing of the machine that made it: owner, order and times are the same everywhere.
tar -C target/dist --sort=name --owner=0 --group=0 --numeric-owner --mtime='2020-01-01 00:00Z' \
  --transform "s,^plaudit,$name," -cf - plaudit | "${pack[@]}" > "target/dist/$name.$suffix"
echo "dist: target/dist/$name.$suffix ($(du -h "target/dist/$name.$suffix" | cut -f1))"
