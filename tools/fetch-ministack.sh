#!/usr/bin/env bash
# Fetches ministack, the S3 server of the tests, and boto3 as the independent client into .tools/ministack/ (a Python
# environment of its own). Uses pip as it is configured. Does nothing when all is there.
set -euo pipefail

MINISTACK=1.5.33

root=$(cd "$(dirname "$0")/.." && pwd)
place=$root/.tools/ministack
wanted="ministack==$MINISTACK"

[ "$(cat "$place/fetched" 2>/dev/null || true)" = "$wanted" ] && exit 0
mkdir -p "$root/.tools"
rm -rf "$place"
python3 -m venv "$place"
# shellcheck disable=SC2086 # words
"$place/bin/pip" install --quiet --disable-pip-version-check $wanted
# Written last: an interrupted run leaves none behind.
echo "$wanted" > "$place/fetched"
echo "$wanted -> ${place#"$root"/}"
