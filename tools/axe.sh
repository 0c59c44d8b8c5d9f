#!/usr/bin/env bash
# Prints the path of axe-core's script for the test of accessibility, and fetches it with npm when it is absent.
# Exit codes: 0 printed, 3 it cannot be fetched here.
set -euo pipefail
version=4.11.0
folder="${XDG_CACHE_HOME:-$HOME/.cache}/facebench-axe-$version"
if [ -n "${FACEBENCH_AXE:-}" ]; then echo "$FACEBENCH_AXE"; exit 0; fi
if [ ! -f "$folder/package/axe.min.js" ]; then
  if ! command -v npm >/dev/null; then
    echo "axe-core was not found. Install npm, or set FACEBENCH_AXE to the path of axe.min.js." >&2
    exit 3
  fi
  mkdir -p "$folder"
  if ! (cd "$folder" && npm pack --silent "axe-core@$version" >/dev/null 2>&1 && tar -xzf axe-core-*.tgz); then
    echo "axe-core cannot be fetched with npm. Set FACEBENCH_AXE to the path of axe.min.js." >&2
    exit 3
  fi
fi
echo "$folder/package/axe.min.js"
