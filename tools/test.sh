#!/usr/bin/env bash
# Everything that has to hold before a change lands, with real servers. Prints how long each stage took.
#
#   BACKUP_TEST_LONG=1    the full sizes instead of the short ones
set -euo pipefail
cd "$(dirname "$0")/.."

export BACKUP_TEST_REAL=1
# One set of features and one profile for all stages but one: each other pair would build every dependency again.
all="--locked --workspace --all-features"
times=()
stage_name=""

finish() {
    local code=$?
    tools/openstack.sh down || true
    [ $code -eq 0 ] || printf '\nFAILED in stage: %s\n' "$stage_name" >&2
    printf '\nStages:\n'
    printf '  %s\n' "${times[@]}"
    printf '  %5d s  together\n' "$SECONDS"
    exit $code
}
trap finish EXIT

stage() {
    stage_name=$1
    shift
    printf '\n== %s\n' "$stage_name"
    local start=$SECONDS
    "$@"
    times+=("$(printf '%5d s  %s' $((SECONDS - start)) "$stage_name")")
}

stage "system packages" tools/packages.sh test
stage "etcd programs" tools/fetch-etcd.sh
stage "S3 server" tools/fetch-ministack.sh
stage "format" cargo fmt --all --check
# shellcheck disable=SC2086 # words
stage "lints" cargo clippy $all --all-targets --quiet -- -D warnings
# shellcheck disable=SC2086
stage "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc $all --no-deps --quiet
stage "feature combinations" tools/check-features.sh
# shellcheck disable=SC2086
stage "build of the tests" cargo test $all --no-run --quiet
stage "OpenStack" tools/openstack.sh up
# One run tells of every test that fails.
# shellcheck disable=SC2086
stage "tests" cargo test $all --no-fail-fast
