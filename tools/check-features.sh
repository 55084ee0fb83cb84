#!/usr/bin/env bash
# Lints each library without features, with each feature alone, and with its defaults. (All features together: `make test`
# lints the whole workspace so.) The features are read from the manifests, so that a new one cannot be forgotten.
set -euo pipefail
cd "$(dirname "$0")/.."

combinations() {
    cargo metadata --locked --no-deps --format-version 1 | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    if package["name"] in ("backup-core", "backup-sources", "backup-stores", "backup-http", "backup-examples"):
        features = sorted(package["features"])
        if package["features"].get("default") or "default" not in features:
            print(package["name"])
        if "default" in features:
            features.remove("default")
            print(package["name"], "--no-default-features")
        for feature in features:
            print(package["name"], "--no-default-features --features", feature)'
}

combinations | while read -r package options; do
    echo "  $package ${options:-(defaults)}"
    # shellcheck disable=SC2086 # options are words
    cargo clippy --quiet --locked -p "$package" $options -- -D warnings </dev/null
done
