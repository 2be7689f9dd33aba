# What the fuzzers have in common; sourced in a crate's folder of them.
#
# Plain cargo suffices; with cargo-fuzz installed, `cargo fuzz run TARGET` does the same.

# build_fuzzers [SANITIZER]: builds all targets, with coverage, and tells in $bin where they are. Without a sanitizer,
# which crates without unsafe code do not need, a stable compiler suffices.
build_fuzzers() {
    local host folder flags
    host=$(rustc -vV | sed -n 's/^host: //p')
    flags="--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
        -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Coverflow-checks"
    # One for all crates of the same flags: libFuzzer is built once.
    folder=${CARGO_TARGET_DIR:-$(cd ../.. && pwd)/target}/fuzz${1:+-$1}
    if [ $# = 0 ]; then
        # shellcheck disable=SC2086
        RUSTFLAGS=$(echo $flags) cargo build --release --quiet --target "$host" --target-dir "$folder"
    else
        # shellcheck disable=SC2086
        RUSTC_BOOTSTRAP=1 RUSTFLAGS=$(echo $flags "-Zsanitizer=$1") \
            cargo build --release --quiet --target "$host" --target-dir "$folder"
    fi
    bin=$folder/$host/release
}

# run_fuzzers SECONDS TARGET...: each for so long, with inputs of $longest bytes at most. A finding is left in
# artifacts/ and makes it fail.
run_fuzzers() {
    local seconds=$1 target log
    shift
    mkdir -p artifacts
    for target in "$@"; do
        mkdir -p "corpus/$target"
        # The limits of the targets are small, so these bounds are generous only to the fuzzer itself.
        log=artifacts/$target.log
        if ! "$bin/$target" "corpus/$target" -max_total_time="$seconds" -max_len="${longest:-65536}" -timeout=10 \
            -rss_limit_mb=1024 -malloc_limit_mb=64 -artifact_prefix="artifacts/$target-" >"$log" 2>&1; then
            tail -n 40 "$log" >&2
            echo "fuzz: $target found something: see $PWD/artifacts" >&2
            return 1
        fi
        echo "fuzz: $target: $(sed -n 's/^Done \([0-9]*\) runs in \([0-9]*\).*/\1 runs in \2 s/p' "$log"), no finding"
    done
}
