#!/usr/bin/env bash
# Fuzzes the event record for a while: event/fuzz/run.sh [SECONDS] [TARGET...]
#
# Plain cargo and a stable compiler suffice (the crate under test has no unsafe code, so coverage is
# enough); with cargo-fuzz installed, `cargo fuzz run TARGET` adds the address sanitizer.
# A finding is left in event/fuzz/artifacts and makes the exit code 1.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-20}
shift || true
targets=("${@:-etf json record}")

host=$(rustc -vV | sed -n 's/^host: //p')
coverage="--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Coverflow-checks"
folder=${CARGO_TARGET_DIR:-$PWD/target}
# shellcheck disable=SC2086
RUSTFLAGS=$(echo $coverage) cargo build --release --quiet --target "$host" --target-dir "$folder"

bin=$folder/$host/release
mkdir -p corpus/{etf,json,record} artifacts
# Erlang's vectors, bare and as the `d` of a message, and their JSON.
perl -ne '
    next if /^#/;
    my ($name, $hex, $json) = /^(\S+) (\S+) (.*)$/ or next;
    my $write = sub { open my $file, ">", $_[0] or die "$_[0]: $!"; print $file $_[1] };
    my $term = pack "H*", $hex;
    $write->("corpus/etf/$name", $term);
    next if $json =~ /^[!@]/ || $hex =~ /^8350/;
    my $head = "\x83t\0\0\0\3d\0\2opa\0d\0\1td\0\5READYd\0\1d";
    $write->("corpus/etf/$name.message", $head . substr $term, 1);
    $write->("corpus/json/$name", $json);
    $write->("corpus/json/$name.message", "{\"d\":$json,\"op\":0,\"s\":1,\"t\":\"A_NEW_EVENT\"}");
' ../tests/vectors.txt
# shellcheck disable=SC2068
for target in ${targets[@]}; do
    # The limits of the targets are small, so these bounds are generous only to the fuzzer itself.
    log=artifacts/$target.log
    if ! "$bin/$target" "corpus/$target" -max_total_time="$seconds" -max_len=65536 -timeout=10 \
        -rss_limit_mb=1024 -malloc_limit_mb=64 -artifact_prefix="artifacts/$target-" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        echo "fuzz: $target found something: see event/fuzz/artifacts" >&2
        exit 1
    fi
    echo "fuzz: $target: $(sed -n 's/^Done \([0-9]*\) runs in \([0-9]*\).*/\1 runs in \2 s/p' "$log"), no finding"
done
