#!/usr/bin/env bash
# The whole test suite; nextest when it is installed (a process per test), else cargo's own runner.
set -euo pipefail
cd "$(dirname "$0")/.."
full_disk=on_a_full_disk
without=""
unshare --user --map-root-user --mount sh -c 'mount -t tmpfs -o size=8m tmpfs /mnt' 2>/dev/null || {
  echo "test: ${full_disk}_… are skipped: this system lets no test mount a small disk"
  without=$full_disk
}
if command -v cargo-nextest >/dev/null; then
  cargo nextest run --workspace --no-fail-fast ${without:+-E "not test(~$without)"}
else
  cargo test --workspace --no-fail-fast -- ${without:+--skip "$without"}
fi
cargo test --workspace --doc --quiet
