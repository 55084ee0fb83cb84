#!/usr/bin/env bash
# Builds s3s-fs, a small S3 server that keeps objects as files, into .tools/: the peer under the benches of S3, and the second opinion of the
# S3 store's tests (BACKUP_TEST_LONG=1). Takes some minutes the first time; does nothing when it is there.
set -euo pipefail

S3S_FS=0.14.1

tools=$(cd "$(dirname "$0")/.." && pwd)/.tools
[ -x "$tools/s3s-fs" ] && exit 0
mkdir -p "$tools"
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
CARGO_TARGET_DIR=$build/target cargo install --quiet --locked --root "$build" --features binary "s3s-fs@$S3S_FS"
mv "$build/bin/s3s-fs" "$tools/s3s-fs"
echo "s3s-fs $S3S_FS -> .tools/s3s-fs"
