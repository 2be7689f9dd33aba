#!/bin/sh
# What cargo test alone does not show of mixcord-ring.
#
#   prove.sh loom   every interleaving of the protocol on tiny rings, and orderings weakened on purpose
#   prove.sh tsan   threads over a heap block, under ThreadSanitizer
#   prove.sh asan   the same under AddressSanitizer
#   prove.sh all
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

case "${1:-all}" in
    loom | tsan | asan) "$1" ;;
    all) loom && tsan && asan ;;
    *) echo "usage: $0 loom|tsan|asan|all" >&2 && exit 2 ;;
esac
