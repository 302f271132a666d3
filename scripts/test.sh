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
# Tests over a PostgreSQL and an S3 server of their own. REQUIRE=1: what is missing fails by name instead.
servers="the_store_over_postgresql_and_s3 a_killed_server_has_its_kept_jobs_drawn_once_by_the_other"
missing=""
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null ||
  missing="PostgreSQL (Debian: postgresql)"
"${PYTHON:-.venv-clients/bin/python}" -c 'import moto.server' 2>/dev/null ||
  missing="${missing:+$missing and }moto (scripts/clients.sh --install)"
if [ -n "$missing" ]; then
  [ "${REQUIRE:-}" != 1 ] || { echo "test: REQUIRE=1, and $missing is missing" >&2; exit 1; }
  for name in $servers; do
    echo "test: $name is skipped: $missing is missing"
    without+=" $name"
  done
fi
filter="" skip=()
for name in $without; do
  filter+="${filter:+ and }not test(~$name)"
  skip+=(--skip "$name")
done
if command -v cargo-nextest >/dev/null; then
  cargo nextest run --workspace --no-fail-fast ${filter:+-E "$filter"}
else
  cargo test --workspace --no-fail-fast -- "${skip[@]}"
fi
cargo test --workspace --doc --quiet
