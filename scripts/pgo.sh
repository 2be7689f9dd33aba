#!/usr/bin/env bash
# Release programs that are laid out by how they run (profile-guided optimisation): gateway, cache, proxy, bridge and mixcord.
#
#   scripts/pgo.sh        instruments them, lets the pipeline benchmark run for some minutes, builds them again
#
# They are in target/pgo/release then, beside the ordinary ones in target/release. What it gains: PERFORMANCE.md.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib/common.sh
case "${1:-}" in
    '') ;;
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "no such option: $1 (--help says what there is)" >&2; exit 2 ;;
esac
require cargo "install Rust with https://rustup.rs"
require cc "install a C compiler, on Debian: apt-get install gcc"

# A profile is read by the LLVM that wrote it: another one's tool refuses it, or gives what rustc refuses.
host=$(rustc -vV | sed -n 's/^host: //p')
tool=${LLVM_PROFDATA:-$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata}
require "$tool" "rustup component add llvm-tools, or name rustc's own one with LLVM_PROFDATA"

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")/pgo
profile=$target/profile
# One after the other: what runs is built by itself, or it would get the features of others' libraries.
build() {
    local flags=$1 folder=$2
    shift 2
    # With --target programs alone get the flags, and not what builds them.
    RUSTFLAGS="${RUSTFLAGS:-} $flags" cargo build --release --quiet --locked --target "$host" --target-dir "$folder" "$@"
}

echo "${dim}building the programs so that they count what they do (minutes)${plain}" >&2
rm -rf "$profile"
for packages in '-p mixcord-gateway -p mixcord-cache' '-p mixcord-pipeline -p fake-discord --bins'; do
    # shellcheck disable=SC2086 # words
    build "-Cprofile-generate=$profile" "$target/counting" $packages
done
echo "${dim}letting them run${plain}" >&2
# Messages and the mix, JSON and ETF, each compression, and the rates that bots have, too: waiting is code as well.
"$target/counting/$host/release/mixcord-pipeline" --axis flood,wire,rate --who mixcord --rounds 1 --minutes 6 --to "$target/training" \
    >"$target/training.log" 2>&1 || { tail -5 "$target/training.log" >&2; exit 1; }
"$tool" merge -o "$target/programs.profdata" "$profile"

echo "${dim}building them by what was counted (minutes)${plain}" >&2
build "-Cprofile-use=$target/programs.profdata" "$target/build" -p mixcord-gateway -p mixcord-cache
build "-Cprofile-use=$target/programs.profdata" "$target/build" -p mixcord-proxy -p mixcord-bridge -p mixcord-cli
mkdir -p "$target/release"
for program in mixcord mixcord-gateway mixcord-cache mixcord-proxy mixcord-bridge; do
    cp "$target/build/$host/release/$program" "$target/release/"
done
echo "${green}they are in $target/release${plain}"
