#!/usr/bin/env bash
# Fuzzes the event record for a while: event/fuzz/run.sh [SECONDS] [TARGET...]
#
# A finding is left in event/fuzz/artifacts and makes the exit code 1.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-20}
shift || true
[ $# -gt 0 ] || set -- etf json record
. ../../scripts/lib/fuzz.sh

build_fuzzers
mkdir -p corpus/{etf,json,record}
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
run_fuzzers "$seconds" "$@"
