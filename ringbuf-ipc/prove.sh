#!/bin/sh
# What cargo test alone does not show of mixcord-ring.
#
#   prove.sh loom   every interleaving of the protocol on tiny rings, and orderings weakened on purpose
#   prove.sh tsan   threads over a heap block, under ThreadSanitizer
#   prove.sh asan   the same under AddressSanitizer
#   prove.sh kill   a child killed after every one of its shared stores, in every role
#   prove.sh fuzz   arbitrary bytes as a segment, under AddressSanitizer (RING_FUZZ_SECONDS, 60)
#   prove.sh soak [--seconds N]
#                   everything killed at random for N seconds (RING_SOAK_SECONDS, 60); part of
#                   cargo test too
#   prove.sh all    all of them but the soak
#
# Works on stable Rust. Each has a target directory of its own, since the flags differ.
set -eu
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-target}"
triple=x86_64-unknown-linux-gnu

loom() {
    RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR="$target/loom" \
        cargo test --package mixcord-ring --lib --release loom_
}

sanitize() {
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="--cfg ring_plain $2" CARGO_TARGET_DIR="$target/$1" \
        TSAN_OPTIONS="suppressions=$PWD/ringbuf-ipc/tests/tsan.supp" \
        cargo test --package mixcord-ring --lib --target "$triple" stress_tests
}

tsan() {
    sanitize tsan "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer"
}

asan() {
    sanitize asan "-Zsanitizer=address"
}

kill_points() {
    cargo test --package mixcord-ring --features kill-points --test kill_points
}

fuzz() {
    cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --version 0.13.2 --locked
    # A whole path: cargo-fuzz runs in its own directory.
    mkdir -p "$target/fuzz"
    CARGO_TARGET_DIR="$(cd "$target/fuzz" && pwd)"
    export CARGO_TARGET_DIR
    cd ringbuf-ipc/fuzz
    RUSTC_BOOTSTRAP=1 cargo fuzz run segment --target "$triple" -- \
        -max_total_time="${RING_FUZZ_SECONDS:-60}" -timeout=20 -rss_limit_mb=2048
}

soak() {
    if [ "${1:-}" = --seconds ]; then
        RING_SOAK_SECONDS="$2"
        export RING_SOAK_SECONDS
    fi
    cargo test --package mixcord-ring --test soak -- --nocapture
}

case "${1:-all}" in
    loom | tsan | asan | fuzz) "$1" ;;
    soak) shift && soak "$@" ;;
    kill) kill_points ;;
    all) loom && tsan && asan && kill_points && fuzz ;;
    *) echo "usage: $0 loom|tsan|asan|kill|fuzz|soak [--seconds N]|all" >&2 && exit 2 ;;
esac
