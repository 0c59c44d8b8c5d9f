#!/usr/bin/env bash
# Prints the path of a Chromium for the browser tests, and installs Debian's when there is none and we are root.
# Exit codes: 0 printed, 3 there is none and it cannot be installed here.
set -euo pipefail
for name in "${FACEBENCH_BROWSER:-}" chromium chromium-browser google-chrome google-chrome-stable; do
  if [ -n "$name" ] && command -v "$name"; then exit 0; fi
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "No Chromium was found. Install one, or set FACEBENCH_BROWSER to its path." >&2
  exit 3
fi
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } >&2
command -v chromium
