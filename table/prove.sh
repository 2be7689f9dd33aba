#!/bin/sh
# What cargo test alone does not show of mixcord-table.
#
#   prove.sh loom   readers beside the writer in every interleaving, and orderings weakened on purpose
#   prove.sh tsan   values that are written once and found by readers, under ThreadSanitizer
#   prove.sh asan   readers, a restarting writer and damaged words, under AddressSanitizer
#   prove.sh kill   a writer killed after its shared stores, also while it goes over into another file
#   prove.sh fuzz   arbitrary damage to a table in a file, under AddressSanitizer (TABLE_FUZZ_SECONDS, 60)
#   prove.sh all    all of them
set -eu
cd "$(dirname "$0")/.."
. scripts/lib/prove.sh

prove() {
    case "$1" in
        loom) loom mixcord-table ;;
        # Other readers race by design: they notice it by the number of the value.
        tsan) sanitize thread mixcord-table stress_ ;;
        asan) sanitize address mixcord-table stress_ words_overwritten readers_beside ;;
        kill) kill_points mixcord-table ;;
        fuzz) fuzz table/fuzz table "${TABLE_FUZZ_SECONDS:-60}" ;;
    esac
}

case "${1:-all}" in
    loom | tsan | asan | kill | fuzz) prove "$1" ;;
    all) prove loom && prove tsan && prove asan && prove kill && prove fuzz ;;
    *) echo "usage: $0 loom|tsan|asan|kill|fuzz|all" >&2 && exit 2 ;;
esac
