#!/usr/bin/env bash
# Mixcord against its peers, in one run on the same cores.
#
#   scripts/bench.sh [PART|all] [--quick]       parts: event ring cache state copy cluster proxy reshard pipeline
#   scripts/bench.sh reshard [--quick] [--rate N]   N events a second (2000)
#   scripts/bench.sh pipeline [OPTION…]         --axis rate,flood…  --minutes N  --rounds N  --list  --profile  --help
#
# Prints a table (medians, ratios, CPU-seconds beside wall time) and writes target/bench/report.json; part
# `pipeline` writes target/bench/report.md with charts, too, and runs.json, and ends within 15 minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib/common.sh
require cargo "install Rust with https://rustup.rs"
require cc "install a C compiler, on Debian: apt-get install gcc"

part=all
options=() # of the pipeline, and of part reshard
quick=()
case "${1:-}" in
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
    '' | -*) ;;
    *) part=$1; shift ;;
esac
for argument in "$@"; do
    [ "$argument" != --quick ] || quick=(--quick)
    case $part:$argument in
        pipeline:* | *:--quick | reshard:--rate | reshard:[0-9]*) ;;
        *)
            echo "$part has no option $argument: only --quick, reshard --rate, and part pipeline others" >&2
            exit 2
            ;;
    esac
    options+=("$argument")
done
[ "$part" != reshard ] || quick=("${options[@]}")
out=${CARGO_TARGET_DIR:-target}/release

echo "${dim}building the benchmarks and their peers (optimised; the first time takes minutes)${plain}" >&2
is_one_of() { [[ " $* " = *" $part "* ]]; }
if is_one_of all copy cluster pipeline proxy reshard; then
    # What users run is built by itself, or it would get the features of others' libraries.
    cargo build --release --quiet -p mixcord-gateway -p mixcord-cache
    ! is_one_of all proxy reshard || cargo build --release --quiet -p mixcord-proxy -p mixcord-cli
    ! is_one_of all copy cluster || cargo build --release --quiet -p mixcord-bridge
    cargo build --release --quiet -p mixcord-pipeline -p fake-discord --bins
    # The benchmark says which of its peers are missing.
    . scripts/lib/nats.sh
    if is_one_of all copy cluster pipeline && [ "$part ${quick[*]}" != "pipeline --quick" ] && find_nats; then
        PATH=$(dirname "$nats"):$PATH
    fi
    if is_one_of all cluster pipeline && [ -z "${quick[*]}" ]; then
        # twilight decides on a compression when it is built: whatever else of the workspace wants of it stays out.
        peers() { env -u CARGO_RESOLVER_FEATURE_UNIFICATION cargo build --release --quiet -p mixcord-peers "$@"; }
        peers --bin peer
        [ "$part" = cluster ] || peers --bin peer-zlib --features zlib
        [ "$part" = cluster ] || peers --bin peer-zstd --features zstd
    fi
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
[ "$part" = pipeline ] || run "$out/mixcord-bench" "$part" "${quick[@]}"
[ "$part" != all ] && [ "$part" != pipeline ] || run "$out/mixcord-pipeline" "${options[@]}"
