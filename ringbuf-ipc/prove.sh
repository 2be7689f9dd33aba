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
set -eu
cd "$(dirname "$0")/.."
. scripts/lib/prove.sh

soak() {
    if [ "${1:-}" = --seconds ]; then
        RING_SOAK_SECONDS="$2"
        export RING_SOAK_SECONDS
    fi
    cargo test --package mixcord-ring --test soak -- --nocapture
}

prove() {
    case "$1" in
        loom) loom mixcord-ring ;;
        tsan) sanitize thread mixcord-ring stress_tests ;;
        asan) sanitize address mixcord-ring stress_tests ;;
        kill) kill_points mixcord-ring ;;
        fuzz) fuzz ringbuf-ipc/fuzz segment "${RING_FUZZ_SECONDS:-60}" ;;
    esac
}

case "${1:-all}" in
    loom | tsan | asan | kill | fuzz) prove "$1" ;;
    soak) shift && soak "$@" ;;
    all) prove loom && prove tsan && prove asan && prove kill && prove fuzz ;;
    *) echo "usage: $0 loom|tsan|asan|kill|fuzz|soak [--seconds N]|all" >&2 && exit 2 ;;
esac
