#!/usr/bin/env bash
# Unpacks the archive of `make dist` into an empty root that has the C library and nothing else (no shell, no Rust, no Python),
# and there asks the doctor and draws a picture. Without the right to change root: the same with an empty environment.
set -euo pipefail
cd "$(dirname "$0")/.."
archive=$(ls target/dist/plaudit-*.tar.* 2>/dev/null | head -n 1)
[ -n "$archive" ] || { echo "test-dist: no archive in target/dist; run: make dist" >&2; exit 1; }
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/opt/plaudit" "$root/tmp" "$root/work"
tar -xf "$archive" -C "$root/opt/plaudit" --strip-components=1

copy_c_library() {
  # What the dynamic linker names for the binary and for ONNX Runtime, at the same paths.
  { ldd "$root/opt/plaudit/bin/plaudit"; ldd "$root"/opt/plaudit/lib/*; } | grep -o '/[^ ]*' | grep -v "^$root" | grep -v ':$' | sort -u |
    while read -r file; do install -D "$file" "$root$file"; done
}

# Prints how the isolation was had, then runs plaudit in it.
inside() {
  if [ "${isolation:=$(unshare --user --map-root-user --mount chroot "$root" /opt/plaudit/bin/plaudit --version >/dev/null 2>&1 && echo unshare || \
      { chroot "$root" /opt/plaudit/bin/plaudit --version >/dev/null 2>&1 && echo chroot || echo environment; })}" = environment ]; then
    (cd "$root/work" && env -i PATH=/nowhere "$root/opt/plaudit/bin/plaudit" "$@")
  elif [ "$isolation" = unshare ]; then
    env -i unshare --user --map-root-user --mount chroot "$root" /opt/plaudit/bin/plaudit "$@"
  else
    env -i chroot "$root" /opt/plaudit/bin/plaudit "$@"
  fi
}

copy_c_library
inside --version
echo "test-dist: isolated by: $isolation"
out=/work; [ "$isolation" = environment ] && out=$root/work
inside doctor --data "$out/data" --listen 127.0.0.1:0
inside generate "two blue stars on the beach" --seed 7 --steps 8 -o "$out/out"
picture=$(find "$root/work/out" -name '*.png' -size +0 | head -n 1)
[ -n "$picture" ] || { echo "test-dist: FAILED, no picture was drawn" >&2; exit 1; }
[ "$(head -c 4 "$picture" | tail -c 3)" = PNG ] || { echo "test-dist: FAILED, $picture is no PNG" >&2; exit 1; }
echo "test-dist: passed, $(basename "$picture") was drawn"
