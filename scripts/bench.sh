#!/usr/bin/env bash
# Mixcord against its peers, in one run on the same cores.
#
#   scripts/bench.sh [PART|all] [--quick]     parts: see --list
#
# Prints a table (medians, ratios, CPU-seconds beside wall time) and writes target/bench/report.json.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib/common.sh
require cargo "install Rust with https://rustup.rs"
require cc "install a C compiler, on Debian: apt-get install gcc"

echo "${dim}building the benchmarks and their peers (optimised; the first time takes minutes)${plain}" >&2
cargo build --release --quiet -p mixcord-bench
bench=
# What a bench that was stopped left in shared memory, and what its peers always leave there.
clean_up() {
    trap '' INT TERM
    [ -z "$bench" ] || { kill -TERM "$bench" && wait "$bench"; } 2>/dev/null || true
    local path
    for path in /dev/shm/ringbench-[0-9]*; do
        [[ $path =~ /ringbench-([0-9]+)- ]] || continue
        [ -e "/proc/${BASH_REMATCH[1]}" ] || rm -rf "$path"
    done
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"${CARGO_TARGET_DIR:-target}/release/mixcord-bench" "$@" &
bench=$!
wait "$bench" && code=0 || code=$?
bench=
exit "$code"
