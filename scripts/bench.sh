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
exec "${CARGO_TARGET_DIR:-target}/release/mixcord-bench" "$@"
