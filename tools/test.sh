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
openstack=""

finish() {
    local code=$?
    [ -z "$openstack" ] || tools/openstack.sh down || true
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
[ -e "${OS_BASE:-target/openstack}/env" ] || openstack=ours
stage "OpenStack" tools/openstack.sh up all

# What the tests print, and what none of it may hold.
output=$PWD/target/test-output
export BACKUP_TEST_SECRETS=$PWD/target/test-secrets
rm -rf "$output" "$BACKUP_TEST_SECRETS"
mkdir -p "$output"
touch "$output/failures"
run_tests() {
    local stream=$1
    shift
    # shellcheck disable=SC2086 # words
    # One run tells of every test that fails.
    RUST_BACKTRACE=0 cargo test $all --no-fail-fast "$@" -- --show-output 2>&1 | tee -a "$output/$stream" \
        | awk -v stream="$stream" -v failures="$output/failures" -f tools/tests-digest.awk
}
everything_else() {
    local code=0
    run_tests rest --lib --bins --test '[!ac]*' --test 'a[!l]*' --test 'c[!i]*' || code=$?
    run_tests rest --doc || code=$?
    return $code
}
# Programs on a real Cinder are called `cinder…`: they wait much of the time, so more of their tests run at a time, and everything else
# beside them; those that end and start services of the stack are called `alone…`.
tests() {
    local code=0
    RUST_TEST_THREADS=4 run_tests cinder --test 'ci*' &
    local cinder=$!
    everything_else || code=$?
    wait $cinder || code=$?
    run_tests alone --test 'al*' || code=$?
    [ $code -eq 0 ] || { echo; echo "What the tests that failed printed:"; cut -c1-500 "$output/failures"; } >&2
    return $code
}
stage "tests" tests
secrets() {
    [ -s "$BACKUP_TEST_SECRETS" ] || { echo "no test noted a credential: there is nothing to search for" >&2; return 1; }
    if grep --recursive --fixed-strings --file="$BACKUP_TEST_SECRETS" --line-number --max-count=5 "$output" | sed "s|^$output/||" | cut -c1-40 >&2; then
        echo "a test printed a credential, in the lines above of ${output#"$PWD"/}" >&2
        return 1
    fi
}
stage "no credential in what the tests print" secrets
