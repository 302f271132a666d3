#!/usr/bin/env bash
# The pages in headless Chromium, against a server of its own on a free port; the page to draw with also against PLAUDIT_URL.
# CHROMIUM: the browser (default: chromium of the PATH). AXE: axe-core's axe.min.js, to check accessibility as well.
# SCREENSHOT, SCREENSHOT_VERSIONS: where to put a picture of each page.
# REQUIRE=1: a missing browser, Node.js or playwright-core fails. axe-core stays optional: its licence (MPL) keeps it out of here.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
binary=${PLAUDIT:-$root/target/debug/plaudit}

missing() {
  [ "${REQUIRE:-}" != 1 ] || { echo "browser tests: FAILED, REQUIRE=1 and $1" >&2; exit 1; }
  echo "browser tests: SKIPPED, $1" >&2
  exit 0
}
export CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
[ -n "$CHROMIUM" ] || missing "Chromium is missing (Debian: apt-get install chromium, or set CHROMIUM)"
command -v node >/dev/null || missing "Node.js is missing (20 or newer)"
[ -d node_modules/playwright-core ] || npm ci --silent --no-fund --no-audit || missing "npm could not fetch playwright-core"

if [ -z "${PLAUDIT_URL:-}" ]; then
  [ -x "$binary" ] || { echo "browser tests: $binary is missing; run: cargo build" >&2; exit 1; }
  work=$(mktemp -d)
  port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
  export PLAUDIT_URL=http://127.0.0.1:$port
  export ORT_DYLIB_PATH=${ORT_DYLIB_PATH:-$root/.ort/libonnxruntime.so}
  # One thumb on a candidate's picture ends its trial: tests do not wait for two thousand.
  export PLAUDIT=$binary PLAUDIT_DATA=$work/data
  (cd "$root" && PLAUDIT_TRIAL_MAX_VOTES=1 exec "$binary" serve --listen "127.0.0.1:$port" --data "$PLAUDIT_DATA") >"$work/log" 2>&1 &
  server=$!
  trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
  for _ in $(seq 120); do
    curl -fsS -o /dev/null "$PLAUDIT_URL/readyz" 2>/dev/null && break
    kill -0 "$server" 2>/dev/null || { echo "browser tests: the server ended:" >&2; cat "$work/log" >&2; exit 1; }
    sleep 0.5
  done
fi
node --test page.test.mjs
# Its keys lock the server, so it comes last.
if [ -n "${PLAUDIT_DATA:-}" ]; then
  node --test versions.test.mjs
else
  missing "the versions' page is tested against a server of its own only (leave PLAUDIT_URL out)"
fi
