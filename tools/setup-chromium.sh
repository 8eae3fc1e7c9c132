#!/usr/bin/env bash
# The Chromium that tests of the page are run in: one that is there, or else the system's own package.
set -euo pipefail

for name in ${LIGHTSAM_CHROMIUM:-chromium chromium-browser google-chrome}; do
    if command -v "$name" >/dev/null; then
        exit 0
    fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get -qq update
    apt-get -qq install --yes --no-install-recommends chromium >/dev/null
    exit 0
fi
echo "the tests of the page need Chromium: install it (on Debian: apt-get install chromium)," >&2
echo "or name one in the environment variable LIGHTSAM_CHROMIUM" >&2
exit 1
