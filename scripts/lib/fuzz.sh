# What the fuzzers of bytes have in common; sourced by a crate's fuzz/run.sh in its own folder.
#
# Plain cargo and a stable compiler suffice (the crates under test have no unsafe code, so coverage is
# enough); with cargo-fuzz installed, `cargo fuzz run TARGET` adds the address sanitizer.

# build_fuzzers: builds all targets, with coverage, and tells in $bin where they are.
build_fuzzers() {
    local host folder coverage
    host=$(rustc -vV | sed -n 's/^host: //p')
    coverage="--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
        -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Coverflow-checks"
    folder=${CARGO_TARGET_DIR:-$PWD/target}
    # shellcheck disable=SC2086
    RUSTFLAGS=$(echo $coverage) cargo build --release --quiet --target "$host" --target-dir "$folder"
    bin=$folder/$host/release
}

# run_fuzzers SECONDS TARGET...: each for so long. A finding is left in artifacts/ and makes it fail.
run_fuzzers() {
    local seconds=$1 target log
    shift
    mkdir -p artifacts
    for target in "$@"; do
        mkdir -p "corpus/$target"
        # The limits of the targets are small, so these bounds are generous only to the fuzzer itself.
        log=artifacts/$target.log
        if ! "$bin/$target" "corpus/$target" -max_total_time="$seconds" -max_len=65536 -timeout=10 \
            -rss_limit_mb=1024 -malloc_limit_mb=64 -artifact_prefix="artifacts/$target-" >"$log" 2>&1; then
            tail -n 40 "$log" >&2
            echo "fuzz: $target found something: see $PWD/artifacts" >&2
            return 1
        fi
        echo "fuzz: $target: $(sed -n 's/^Done \([0-9]*\) runs in \([0-9]*\).*/\1 runs in \2 s/p' "$log"), no finding"
    done
}
