#!/usr/bin/env bash
# Mixcord against its peers, in one run on the same cores.
#
#   scripts/bench.sh [PART|all] [--quick|--full]     parts: event ring cache pipeline
#
# Prints a table (medians, ratios, CPU-seconds beside wall time) and writes target/bench/report.json; part
# `pipeline` writes target/bench/report.md with charts, and runs.json. --full is every dimension of that part: hours.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib/common.sh
require cargo "install Rust with https://rustup.rs"
require cc "install a C compiler, on Debian: apt-get install gcc"

part=all
options=() # of the pipeline, which alone knows --full
common=()
for argument in "$@"; do
    case "$argument" in
        --full) options+=(--full) ;;
        -*) options+=("$argument") common+=("$argument") ;;
        *) part=$argument ;;
    esac
done
out=${CARGO_TARGET_DIR:-target}/release

echo "${dim}building the benchmarks and their peers (optimised; the first time takes minutes)${plain}" >&2
if [ "$part" = all ] || [ "$part" = pipeline ]; then
    # What users run is built by itself, or it would get the features of others' libraries.
    cargo build --release --quiet -p mixcord-gateway -p mixcord-cache
    cargo build --release --quiet -p mixcord-pipeline -p fake-discord --bins
fi
[ "$part" = pipeline ] || cargo build --release --quiet -p mixcord-bench
bench=
# What a bench that was stopped left in shared memory, and what its peers always leave there.
clean_up() {
    trap '' INT TERM
    [ -z "$bench" ] || { kill -TERM "$bench" && wait "$bench"; } 2>/dev/null || true
    local path
    for path in /dev/shm/ringbench-[0-9]* /dev/shm/mixcord.t[0-9]*-pipeline-*; do
        [[ $path =~ /(ringbench-|mixcord\.t)([0-9]+)- ]] || continue
        [ -e "/proc/${BASH_REMATCH[2]}" ] || rm -rf "$path"
    done
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
run() {
    "$@" &
    bench=$!
    wait "$bench" && code=0 || code=$?
    bench=
    [ "$code" = 0 ] || exit "$code"
}
[ "$part" = pipeline ] || run "$out/mixcord-bench" "$part" "${common[@]}"
[ "$part" != all ] && [ "$part" != pipeline ] || run "$out/mixcord-pipeline" "${options[@]}"
