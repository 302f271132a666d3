#!/usr/bin/env bash
# Unpacks the archive of `make dist` into an empty root that has the C library and nothing else (no shell, no Rust, no Python),
# and there asks the doctor, draws a picture, serves another over HTTP, and stops. Without the right to change root: the same with an empty environment.
set -euo pipefail
cd "$(dirname "$0")/.."
archive=$(ls target/dist/plaudit-*.tar.* 2>/dev/null | head -n 1)
[ -n "$archive" ] || { echo "test-dist: no archive in target/dist; run: make dist" >&2; exit 1; }
root=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true; rm -rf "$root"' EXIT
mkdir -p "$root/opt/plaudit" "$root/tmp" "$root/work"
tar -xf "$archive" -C "$root/opt/plaudit" --strip-components=1

copy_c_library() {
  # What the dynamic linker names for the binary and for ONNX Runtime, at the same paths.
  { ldd "$root/opt/plaudit/bin/plaudit"; ldd "$root"/opt/plaudit/lib/*; } | grep -o '/[^ ]*' | grep -v "^$root" | grep -v ':$' | sort -u |
    while read -r file; do install -D "$file" "$root$file"; done
}

# In a mount namespace of its own the new root gets /proc, as every Linux has it, and nothing else of this machine.
# shellcheck disable=SC2016 # the inner shell expands
enter='mount --rbind /proc "$0/proc" && exec env -i "$(command -v chroot)" "$0" /opt/plaudit/bin/plaudit "$@"'
own_root=()
mkdir -p "$root/proc"

choose() {
  local way
  for way in "unshare --mount" "unshare --user --map-root-user --mount"; do
    # shellcheck disable=SC2086 # words
    $way sh -c "$enter" "$root" --version >/dev/null 2>&1 && { read -ra own_root <<<"$way"; return; }
  done
  return 0
}

# In a subshell, which it replaces.
inside() {
  if [ ${#own_root[@]} -gt 0 ]; then
    exec "${own_root[@]}" sh -c "$enter" "$root" "$@"
  else
    cd "$root/work" && exec env -i PATH=/nowhere "$root/opt/plaudit/bin/plaudit" "$@"
  fi
}

copy_c_library
choose
if [ ${#own_root[@]} -gt 0 ]; then
  echo "test-dist: in a root of its own (${own_root[*]}, chroot)"
  out=/work
else
  echo "test-dist: NO root of its own could be had here; an empty environment instead"
  out=$root/work
fi
(inside --version)
(inside doctor --data "$out/data" --listen 127.0.0.1:0)
(inside generate "two blue stars on the beach" --seed 7 --steps 8 -o "$out/out")
picture=$(find "$root/work/out" -name '*.png' -size +0 | head -n 1)
[ -n "$picture" ] || { echo "test-dist: FAILED, no picture was drawn" >&2; exit 1; }
[ "$(head -c 4 "$picture" | tail -c 3)" = PNG ] || { echo "test-dist: FAILED, $picture is no PNG" >&2; exit 1; }

# The server shares this machine's network; curl asks from outside of its root.
port=$(( 20000 + RANDOM % 10000 ))
(inside serve --data "$out/data" --listen "127.0.0.1:$port" >"$root/work/log" 2>&1) &
server=$!
for _ in $(seq 60); do
  curl -sf "http://127.0.0.1:$port/readyz" >/dev/null && break
  kill -0 "$server" 2>/dev/null || { cat "$root/work/log" >&2; echo "test-dist: FAILED, the server ended" >&2; exit 1; }
  sleep 0.5
done
asked='{"prompt": "two blue stars on the beach", "num_inference_steps": 8, "seed": 7}'
answer=$(curl -sS -H 'content-type: application/json' -d "$asked" "http://127.0.0.1:$port/v1/images/generations")
kill -TERM "$server"
wait "$server" || { cat "$root/work/log" >&2; echo "test-dist: FAILED, the server did not stop well" >&2; exit 1; }
server=
# Of a server without votes there is nothing to learn.
learned=0
env -i "$root/opt/plaudit/bin/plaudit-train" run --once --data "$root/work/data" >"$root/work/learned" 2>&1 || learned=$?
[ "$learned" = 3 ] || { cat "$root/work/learned" >&2; echo "test-dist: FAILED, plaudit-train ended with $learned, not 3" >&2; exit 1; }
grep -q $'\x1b' "$root/work/log" && { echo "test-dist: FAILED, the log has terminal colours in a file" >&2; exit 1; }
case $answer in
  *'"b64_json":"iVBORw0KGgo'*) ;;
  *) echo "test-dist: FAILED, it served no picture: ${answer:0:300}" >&2; exit 1 ;;
esac
echo "test-dist: passed, $(basename "$picture") was drawn and another was served"
