# What the provers of the protocols on shared memory have in common; sourced by them at the top of the
# repository. Works on stable Rust. Each proof has a target directory of its own, since the flags differ.

target="${CARGO_TARGET_DIR:-target}"
triple=x86_64-unknown-linux-gnu

# loom PACKAGE: every interleaving of tiny models, and orderings weakened on purpose.
loom() {
    RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR="$target/loom" \
        cargo test --package "$1" --lib --release loom_
}

# sanitize thread|address PACKAGE [FILTER...]: tests of the library over a heap block, whose copies are
# plain, so that one that races is seen.
sanitize() {
    sanitizer=$1 package=$2
    shift 2
    flags="-Zsanitizer=$sanitizer"
    if [ "$sanitizer" = thread ]; then flags="$flags -Cunsafe-allow-abi-mismatch=sanitizer"; fi
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="--cfg ring_plain $flags" CARGO_TARGET_DIR="$target/$sanitizer" \
        TSAN_OPTIONS="suppressions=$PWD/scripts/lib/tsan.supp" \
        cargo test --package "$package" --lib --target "$triple" -- "$@"
}

# kill_points PACKAGE: a child killed after every one of its shared stores, in every role.
kill_points() {
    cargo test --package "$1" --features kill-points --test kill_points
}

# fuzz FOLDER TARGET SECONDS: arbitrary bytes, under AddressSanitizer.
fuzz() (
    cd "$1"
    . ../../scripts/lib/fuzz.sh
    build_fuzzers address
    # Longer ones say no more of a segment, and take longer.
    longest=4096 run_fuzzers "$3" "$2"
)
