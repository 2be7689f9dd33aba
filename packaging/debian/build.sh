#!/usr/bin/env bash
# Builds the Debian package into target/debian/.
#
#   packaging/debian/build.sh             from a release build
#   packaging/debian/build.sh --dev       from a debug build, for tests of the package itself
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/lib/common.sh
require cargo "install Rust with https://rustup.rs"
require cargo-deb "cargo install cargo-deb --locked"

programs="mixcord mixcord-gateway mixcord-cache mixcord-proxy mixcord-bridge"
profile=release folder=release
if [ "${1:-}" = --dev ]; then profile=dev folder=debug; fi
target=${CARGO_TARGET_DIR:-target}
cargo build --profile "$profile" --locked --bins

# Where Cargo.toml of the tools looks for them.
extra=target/packaging
rm -rf "$extra"
mkdir -p "$extra/man"
for program in $programs; do
    "$target/$folder/$program" --man-pages "$extra/man"
    for shell in bash zsh fish; do
        mkdir -p "$extra/completions/$shell"
        "$target/$folder/$program" --completions "$shell" > "$extra/completions/$shell/$program"
    done
done
# Each shell has its own way of naming them.
for script in "$extra"/completions/zsh/*; do mv "$script" "${script%/*}/_${script##*/}"; done
for script in "$extra"/completions/fish/*; do mv "$script" "$script.fish"; done
gzip -9n "$extra"/man/*

# cargo-deb takes release builds: a debug build stands in for one, in a folder of its own.
if [ "$profile" = dev ]; then
    mkdir -p "$extra/build/release"
    for program in $programs; do
        strip -o "$extra/build/release/$program" "$target/$folder/$program"
    done
    build=$extra/build fast=--fast
else
    build=$target fast=
fi
mkdir -p "$target/debian"
CARGO_TARGET_DIR=$(realpath "$build") cargo deb -p mixcord-cli --no-build --quiet ${fast:+"$fast"} --output "$(realpath "$target")/debian/"
