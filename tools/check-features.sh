#!/usr/bin/env bash
# Lints each library without features, with each feature alone, and with its defaults. (`make test` lints all features together
# before.) The features are read from the manifests, so that a new one cannot be forgotten.
set -euo pipefail
cd "$(dirname "$0")/.."

combinations() {
    cargo metadata --locked --no-deps --format-version 1 | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    name, features = package["name"], package["features"]
    if name not in ("backup-core", "backup-remote", "backup-sources", "backup-stores", "backup-http"):
        continue
    print(name, "--no-default-features")
    for feature in sorted(features):
        # A default of nothing is the line above; one of a single feature is the line of that feature.
        if feature != "default":
            print(name, "--no-default-features --features", feature)
        elif len(features["default"]) > 1:
            print(name)'
    # What the README tells a newcomer to build.
    echo backup-examples
    echo backup-examples --no-default-features
}

combinations | while read -r package options; do
    echo "  $package ${options:-(defaults)}"
    # shellcheck disable=SC2086 # options are words
    cargo clippy --quiet --locked -p "$package" $options -- -D warnings </dev/null
done
