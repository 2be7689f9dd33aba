#!/bin/sh
# What cargo test alone does not show of mixcord-table.
#
#   prove.sh loom   readers beside the writer in every interleaving, and orderings weakened on purpose
#   prove.sh kill   a writer killed after every one of its shared stores
#   prove.sh all    both
set -eu
cd "$(dirname "$0")/.."

loom() {
    RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom" \
        cargo test --package mixcord-table --lib --release loom_
}

kill_points() {
    cargo test --package mixcord-table --features kill-points --test kill_points
}

case "${1:-all}" in
    loom) loom ;;
    kill) kill_points ;;
    all) loom && kill_points ;;
    *) echo "usage: $0 loom|kill|all" >&2 && exit 2 ;;
esac
