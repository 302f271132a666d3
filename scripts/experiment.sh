#!/usr/bin/env bash
# The proof of docs/simulate.md. Goes on where it stopped: `quick` in about 15 minutes, `full` in legs.
# OUT: where everything goes. TRAIN: a plaudit-train that is built already, plaudit beside it.
set -euo pipefail
cd "$(dirname "$0")/.."
train=${TRAIN:-target/release/plaudit-train}
[ -n "${TRAIN:-}" ] || cargo build --release --workspace --bins
case "${1:-full}" in
  quick)
    exec "$train" simulate -o "${OUT:-runs/experiment-quick}" --objectives reward-weighted --hostile 0 --rounds 1 --prompts 90 \
      --trial-prompts 20 --protocol-prompts 30 --protocol-pictures 1 --tune-steps 60 --reward-steps 600 --gate-prompts 20 \
      --server-flags=--trial-min-votes=40 --server-flags=--trial-alpha=0.2
    ;;
  full)
    exec "$train" simulate -o "${OUT:-runs/experiment}" ${MINUTES:+--minutes "$MINUTES"} \
      --server-flags=--trial-min-votes=60 --server-flags=--trial-alpha=0.2 --server-flags=--trial-margin=0.1
    ;;
  *) echo "experiment: quick or full" >&2; exit 1 ;;
esac
