#!/usr/bin/env bash
# Prints a font with Japanese characters for screenshots, and installs Debian's when there is none and we are root.
# Exit codes: 0 printed, 3 there is none and it cannot be installed here.
set -euo pipefail
japanese() { command -v fc-list >/dev/null && fc-list :lang=ja family | sort | grep -m 1 .; }
if japanese; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "No font with Japanese characters was found. Install one, such as Noto Sans CJK JP." >&2
  exit 3
fi
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends fontconfig fonts-noto-cjk; } >&2
japanese
