#!/usr/bin/env bash
# Runs the console's tests in a real browser; fetches Chromium from Debian when root and none is there. Without one every
# test is skipped by its name, which the closing line counts. CHROMIUM names another program; DEJPHA_SHOTS a folder for pictures.
set -euo pipefail
cd "$1"
if [ -z "${CHROMIUM:-}" ] && [ ! -x /usr/bin/chromium ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "e2e: fetching Chromium with apt-get"
	export DEBIAN_FRONTEND=noninteractive
	{ apt-get update && apt-get install -y --no-install-recommends chromium; } >/dev/null 2>&1 || echo "e2e: apt-get could not fetch Chromium"
fi
npm test --silent
