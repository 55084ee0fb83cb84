#!/usr/bin/env bash
# The whole-process comparison (arguments are handed on: `benches/run.sh --rounds 5 gzip verify`), then the micro-benches when
# no argument is given. Uses etcd of .tools/ and the other programs of PATH.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

missing=()
for program in etcdctl pigz sha256sum tar curl jq wrk nginx rclone; do
    command -v "$program" > /dev/null || missing+=("$program")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "missing: ${missing[*]} (Debian: apt-get install etcd-client pigz coreutils tar curl jq wrk nginx-light rclone)" >&2
    exit 1
fi
if [ -z "${ETCD:-}" ]; then
    tools/fetch-etcd.sh
    ETCD=$(find "$root/.tools/etcd" -path '*/3.6.*/etcd' | sort -V | tail -n 1)
    export ETCD
fi

tools/fetch-s3s.sh
tools/openstack.sh up all
trap 'tools/openstack.sh down' EXIT

cargo build --release --locked --quiet -p backup-benches -p backup-examples
target/release/compare "$@"
[ $# -gt 0 ] || cargo bench --locked -p backup-benches
