#!/usr/bin/env bash
# Everything that must pass before a change lands; CI runs this and nothing else.
#
#   scripts/test.sh           the whole suite, bounded forms of the long proofs
#   scripts/test.sh --full    the long forms too (soaks, fuzzing for minutes)
#   scripts/test.sh STAGE...  only these stages: fmt lint deny other msrv build doc test fresh package units deb e2e
#                             cluster web clients proofs
#
# Tests are run by cargo nextest where it is installed, else by cargo test; MIXCORD_TEST_RUNNER=nextest
# or =cargo says which. Needs Rust and a C compiler; what else is missing it installs, or names in one
# line with what was left out for it.
set -euo pipefail
cd "$(dirname "$0")/.."

full=0
wanted=()
for argument in "$@"; do
    case "$argument" in
        --full) full=1 ;;
        -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) echo "test.sh: no such option: $argument (see --help)" >&2; exit 2 ;;
        *) wanted+=("$argument") ;;
    esac
done

. scripts/lib/common.sh
require cargo "install Rust with https://rustup.rs"
require cc "install a C compiler, on Debian: apt-get install gcc"
# The fuzz targets are linked with libFuzzer, which is C++.
if ! command -v c++ >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing g++ for the fuzz targets"
    apt-get update -qq && apt-get install -qq -y g++ >/dev/null
fi
require c++ "install a C++ compiler for the fuzz targets, on Debian: apt-get install g++"

# A test names what it makes after its process; one that was killed cannot clean up after
# itself. What belongs to a process that lives is another run's.
sweep() {
    local path pid
    for path in /dev/shm/mixcord.t[0-9]* /dev/shm/{ringtest,ringfuzz,mixcord-table}-[0-9]*; do
        [[ $path =~ /(mixcord\.t|[a-z-]+-)([0-9]+) ]] || continue
        pid=${BASH_REMATCH[2]}
        [ -e "/proc/$pid" ] || rm -rf "$path"
    done
}
trap sweep EXIT

runner=${MIXCORD_TEST_RUNNER:-}
case "$runner" in
    nextest) cargo nextest --version >/dev/null 2>&1 || { echo "test.sh: cargo-nextest is not installed" >&2; exit 78; } ;;
    cargo) ;;
    '') if cargo nextest --version >/dev/null 2>&1; then runner=nextest; else runner=cargo; fi ;;
    *) echo "test.sh: MIXCORD_TEST_RUNNER is nextest or cargo" >&2; exit 78 ;;
esac

run_tests() {
    if [ "$runner" = nextest ]; then
        cargo nextest run --no-fail-fast "$@"
    else
        cargo test --no-fail-fast "$@"
    fi
}

skipped() { echo "${dim}left out: $*${plain}"; }

stage_fmt() { cargo fmt --all --check; }
# Stages run in a condition, where bash ignores `set -e`: chain their commands with &&.
stage_lint() { cargo clippy --workspace --all-targets --all-features -- -D warnings; }
# Licences, advisories and sources of everything we link.
stage_deny() {
    if cargo deny --version >/dev/null 2>&1; then
        cargo deny check
    else
        skipped "cargo deny is not installed (cargo install cargo-deny)"
    fi
}
# The other machine that the rings are for. What links C needs its compiler as well.
stage_other() {
    local target=aarch64-unknown-linux-gnu
    if [ -d "$(rustc --print target-libdir --target "$target" 2>/dev/null)" ]; then
        cargo check --quiet --target "$target" -p mixcord-memory -p mixcord-table -p mixcord-ring \
            -p mixcord-event -p mixcord-process --features mixcord-ring/tokio
    else
        skipped "the target $target is not installed (rustup target add $target)"
    fi
}
# The oldest Rust that Cargo.toml promises. What it lacks of the library clippy tells in any case (incompatible_msrv).
stage_msrv() {
    local oldest
    oldest=$(sed -n 's/^rust-version = "\([0-9.]*\)".*/\1/p' Cargo.toml)
    if cargo "+$oldest" --version >/dev/null 2>&1; then
        cargo "+$oldest" check --quiet --workspace --exclude mixcord-bench --exclude mixcord-peers --target-dir target/msrv
    else
        skipped "Rust $oldest, the oldest promised, is not installed (rustup toolchain install $oldest)"
    fi
}
stage_build() { cargo build --bins --examples; }
# tests_of IN|NOT PACKAGE...: tests of these of the default members, or of all others. nextest always builds all of
# them: each choice of packages has features of its own, for which dependencies would be built anew.
tests_of() {
    local which=$1 packages=
    shift
    if [ "$runner" = nextest ]; then
        packages=$(printf ' + package(%s)' "$@")
        packages="(${packages# + })"
        [ "$which" = IN ] || packages="not $packages"
        run_tests --all-targets -E "$packages"
    elif [ "$which" = IN ]; then
        run_tests "${@/#/--package=}"
    else
        run_tests --workspace --exclude=mixcord-bench --exclude=mixcord-peers --all-targets "${@/#/--exclude=}"
    fi
}
# The end-to-end tests start many processes each and come in a stage of their own, with the quick form of the
# pipeline's benchmark.
stage_test() { tests_of NOT mixcord-e2e mixcord-pipeline; }
stage_doc() {
    cargo test --doc --features mixcord/testing,mixcord/twilight,mixcord/serenity &&
        RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --quiet \
            --features mixcord/testing,mixcord/twilight,mixcord/serenity
}
# "Copy this and it compiles": an empty crate with the README's dependencies and the first example as its main.
stage_fresh() {
    local crate=target/fresh-crate sdk=$PWD/consumer-sdk
    rm -rf "$crate" && mkdir -p "$crate/src" &&
        { printf '[package]\nname = "my-bot"\nversion = "0.1.0"\nedition = "2024"\n\n[workspace]\n\n' &&
            sed -n '/^```toml$/,/^```$/{/^```/!p}' README.md | sed "s|…/consumer-sdk|$sdk|"; } >"$crate/Cargo.toml" &&
        cp Cargo.lock "$crate/" && cp consumer-sdk/examples/greeter.rs "$crate/src/main.rs" &&
        cargo check --quiet --manifest-path "$crate/Cargo.toml" --target-dir target/fresh &&
        sed -n '/^```toml$/,/^```$/{/^```/!p}' consumer-sdk/README.md |
        grep -qF "$(sed -n '/^```toml$/,/^```$/{/^```/!p}' README.md | tail -1)" ||
        { echo "the dependencies of README.md and consumer-sdk/README.md differ" >&2; return 1; }
}
# What would be published: all crates, with their licences and pages. They are built only with --full, for that takes
# as long as the workspace itself.
stage_package() {
    local verify=--no-verify
    [ "$full" = 0 ] || verify=
    # shellcheck disable=SC2086
    cargo package --quiet --workspace --exclude mixcord-bench --exclude mixcord-peers --exclude mixcord-pipeline --exclude mixcord-probe \
        --exclude mixcord-e2e --exclude mixcord-guide --allow-dirty $verify \
        --target-dir target/package
}
# Units and alert rules, by the tools of those who read them.
stage_units() { packaging/check.sh; }
# The Debian package, made of what was built for the tests: installed, run, upgraded and purged in a root of its own.
stage_deb() { packaging/debian/check.sh; }
stage_e2e() {
    MIXCORD_TEST_WITHOUT_NATS=1 tests_of IN mixcord-e2e mixcord-pipeline || return 1
    [ "$full" = 1 ] || return 0
    # More scenes of a changing shard count.
    if [ "$runner" = nextest ]; then
        run_tests --all-targets --run-ignored only -E "package(mixcord-e2e) & binary(reshard)"
    else
        run_tests -p mixcord-e2e --test reshard -- --ignored
    fi
}
# Two machines with a real nats-server between them.
stage_cluster() {
    . scripts/lib/nats.sh
    if find_nats; then
        # The upgrade's test leaves programs of another build.
        if [ "$runner" = nextest ]; then
            stage_build && run_tests --all-targets -E "(package(mixcord-e2e) & binary(bridge)) + (package(mixcord-pipeline) & binary(cluster))"
        else
            stage_build && run_tests -p mixcord-e2e -p mixcord-pipeline --test bridge --test cluster
        fi
    else
        skipped "two machines, for want of a nats-server"
    fi
}
# The live page in a real browser, which is installed where that is possible.
stage_web() {
    if ! command -v chromedriver >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing Chromium for the live page"
        { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium chromium-driver; } >/dev/null 2>&1 || true
    fi
    if ! command -v chromedriver >/dev/null 2>&1; then
        skipped "Chromium is not installed (on Debian: apt-get install chromium chromium-driver)"
    elif [ "$runner" = nextest ]; then
        cargo nextest run --run-ignored only --all-targets -E "package(mixcord-e2e) & binary(web)"
    else
        cargo test -p mixcord-e2e --test web -- --ignored
    fi
}
# The libraries of others as clients of the proxy: serenity, and node's and python's where these are installed.
stage_clients() {
    if [ "$full" = 0 ]; then
        skipped "serenity, and libraries of node and python (--full)"
        return
    fi
    local folder=target/clients chosen=()
    mkdir -p "$folder" && cp tests/clients/*.* "$folder/" || return 1
    # Outside of the workspace, with dependencies of its own.
    cargo fmt --check --manifest-path tests/clients/serenity/Cargo.toml || return 1
    cargo build --quiet --locked --manifest-path tests/clients/serenity/Cargo.toml --target-dir "$folder/serenity" || return 1
    if ! command -v npm >/dev/null 2>&1 || ! command -v python3 >/dev/null 2>&1; then
        skipped "node or python3 is not installed: discord.js, eris, discord.py and hikari"
        chosen=(serenity)
    else
        ln -sf "$(command -v node)" "$folder/node" &&
            (cd "$folder" && npm install --silent --no-audit --no-fund) &&
            python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet -r tests/clients/requirements.txt || return 1
    fi
    if [ "$runner" = nextest ]; then
        cargo nextest run --run-ignored only -p mixcord-e2e --test proxy_clients "${chosen[@]}"
    else
        cargo test -p mixcord-e2e --test proxy_clients -- --ignored "${chosen[@]}"
    fi
}
# What ordinary tests cannot show: every interleaving, every kill point, hostile bytes, data races.
stage_proofs() {
    local seconds=$((full ? 300 : 6))
    kill_points &&
        table/prove.sh loom && ringbuf-ipc/prove.sh loom && ringbuf-ipc/prove.sh tsan && ringbuf-ipc/prove.sh asan &&
        RING_FUZZ_SECONDS=$seconds ringbuf-ipc/prove.sh fuzz &&
        event/fuzz/run.sh "$seconds" && recording/fuzz/run.sh "$seconds" || return 1
    [ "$full" = 1 ] || return 0
    table/prove.sh tsan && table/prove.sh asan && TABLE_FUZZ_SECONDS=$seconds table/prove.sh fuzz &&
        RING_SOAK_SECONDS=600 ringbuf-ipc/prove.sh soak
}
# A process killed after every one of its shared stores, in every role: all crates' at once, so that dependencies are
# built for nobody anew.
kill_points() {
    local tests=(--test kill_points --test beside_kills --test stage_kills --features)
    tests+=("$(printf '%s/kill-points,' mixcord-ring mixcord-table mixcord-cache)mixcord/kill-points")
    if [ "$runner" = nextest ]; then
        run_tests "${tests[@]}"
    else
        # One at a time: a starting child holds its parent's locks for a moment.
        run_tests "${tests[@]}" -- --test-threads=1
    fi
}

run_stages "${wanted[@]:-fmt lint deny other msrv build doc test fresh package units deb e2e cluster web clients proofs}"
