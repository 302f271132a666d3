#!/usr/bin/env bash
# The proof of docs/simulate.md. Goes on where it stopped: `quick` in about 15 minutes, `full` in legs.
# OUT: where everything goes. TRAIN: a plaudit-train that is built already, plaudit beside it.
set -euo pipefail
cd "$(dirname "$0")/.."
train=${TRAIN:-target/release/plaudit-train}
[ -n "${TRAIN:-}" ] || cargo build --release --workspace --bins
case "${1:-full}" in
  quick)
    exec "$train" simulate -o "${OUT:-runs/experiment-quick}" --objectives reward-weighted --seeds 1 --hostile 0 --rounds 1 --prompts 90 \
      --trial-prompts 20 --protocol-prompts 30 --protocol-pictures 1 --tune-steps 60 --reward-steps 600 --gate-prompts 20 \
      --server-flags=--trial-min-votes=40 --server-flags=--trial-alpha=0.2
    ;;
  full)
    out=${OUT:-runs/experiment}
    # What the base knows, for the legs that hold on to it: scenes of the kind that it was trained on.
    [ -e "$out-captioned" ] || "$train" data draw --pictures 2000 -o "$out-captioned"
    objectives=latent-reward
    for other in reward-weighted{,+unlabelled,+pretraining,+unlabelled+pretraining,+anchored} centred signed-target relative-target kto; do
      objectives+=,$other@1e-4
    done
    exec "$train" simulate -o "$out" ${MINUTES:+--minutes "$MINUTES"} --objectives "$objectives,reward-gradient" --base-data "$out-captioned" \
      --prompts 600 --pictures 8 --votes 4 --gate-prompts 120 --trial-prompts 40 --reward-steps 1500 --side-rounds 1 \
      --server-flags=--trial-min-votes=60 --server-flags=--trial-alpha=0.2 --server-flags=--trial-margin=0.1
    ;;
  *) echo "experiment: quick or full" >&2; exit 1 ;;
esac
