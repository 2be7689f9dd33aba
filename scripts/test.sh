#!/usr/bin/env bash
# Everything that must pass before a change lands; CI runs this and nothing else.
#
#   scripts/test.sh           the whole suite, bounded forms of the long proofs
#   scripts/test.sh --full    the long forms too (soaks, fuzzing for minutes)
#   scripts/test.sh STAGE...  only these stages: fmt lint build test doc e2e
#
# Needs Rust and a C compiler; what else is missing it installs, or names in one line.
set -euo pipefail
cd "$(dirname "$0")/.."

full=0
wanted=()
for argument in "$@"; do
    case "$argument" in
        --full) full=1 ;;
        -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) echo "test.sh: no such option: $argument (see --help)" >&2; exit 2 ;;
        *) wanted+=("$argument") ;;
    esac
done
export MIXCORD_TEST_FULL=$full

. scripts/lib/common.sh
require cargo "install Rust with https://rustup.rs"
require cc "install a C compiler, on Debian: apt-get install gcc"
require cmp "install diffutils"

# Every instance that a test makes is named t<pid>…; one that was killed cannot clean up after itself.
sweep() { rm -rf /dev/shm/mixcord.t[0-9]* 2>/dev/null || true; }
trap sweep EXIT

nextest() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --no-fail-fast "$@"
    else
        cargo test --no-fail-fast "$@"
    fi
}

stage_fmt() { cargo fmt --all --check; }
# Stages run in a condition, where bash ignores `set -e`: chain their commands with &&.
stage_lint() { cargo clippy --workspace --all-targets --all-features -- -D warnings; }
stage_build() { cargo build --bins --examples; }
# The end-to-end tests start many processes each and come in a stage of their own.
stage_test() { nextest --workspace --exclude mixcord-e2e --exclude mixcord-bench --all-targets; }
stage_doc() {
    cargo test --doc &&
        RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --quiet
}
stage_e2e() { nextest -p mixcord-e2e; }

run_stages "${wanted[@]:-fmt lint build test doc e2e}"
