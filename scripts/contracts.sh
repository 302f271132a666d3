#!/usr/bin/env bash
# Contracts that no Rust test can see: where `ort` may be imported, what may be committed, which links in the docs are true.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0
fail() { echo "contract: $1" >&2; failed=1; }

strays=$(git grep -lE '\buse ort\b|\bort::' -- '*.rs' ':!src/runtime' || true)
[ -z "$strays" ] || fail "only src/runtime may import ort, but these do: $strays"

big=$(git ls-files -z | xargs -0 -I{} find {} -maxdepth 0 -size +40000k -print)
[ -z "$big" ] || fail "files above 40 MB are committed: $big"

pack=$(git ls-files -z onnx/packs/miniature | xargs -0 -r du -cb | tail -n 1 | cut -f1)
[ "${pack:-0}" -le $((30 * 1000 * 1000)) ] || fail "the miniature pack has $pack bytes; 30 MB is its limit"

# Every relative link of the documents leads somewhere.
for page in $(git ls-files '*.md'); do
  while read -r link; do
    [ -e "$(dirname "$page")/$link" ] || fail "$page links to $link, which is not there"
  done < <(grep -oE '\]\([^)#: ]+[)#]' "$page" | sed -E 's/^\]\(//; s/[)#]$//')
done

long=$(git ls-files '*.rs' ':!*/proto/onnx.rs' | xargs wc -l | awk '$2 != "total" && $1 > 600 {print $2 " (" $1 ")"}')
[ -z "$long" ] || fail "files longer than 600 lines: $long"

foreign=$(cargo tree --workspace --prefix none --format '{l}|{p}' | sed 's/ (\*)$//' | sort -u \
  | grep -vE '^(\||$)' | grep -vE '^[^|]*(MIT|Apache-2\.0|BSD-[23]-Clause|ISC|Zlib|Unicode-3\.0)' || true)
[ -z "$foreign" ] || fail "dependencies under another licence than MIT, Apache-2.0 or BSD-like ones: $foreign"

[ "$failed" = 0 ] && echo "contracts: 6 passed, 0 failed"
exit "$failed"
