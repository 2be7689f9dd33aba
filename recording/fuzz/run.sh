#!/usr/bin/env bash
# Fuzzes the reader of recordings, and the player, for a while: recording/fuzz/run.sh [SECONDS] [TARGET...]
#
# A finding is left in recording/fuzz/artifacts and makes the exit code 1.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-20}
shift || true
[ $# -gt 0 ] || set -- file frames
. ../../scripts/lib/fuzz.sh
build_fuzzers
mkdir -p corpus/{file,frames}
# Frames as they are written: a head, a ring, a record of it, a loss, a kind of later, an end; and the beginning of a file.
perl -e '
    my $write = sub { open my $file, ">", "corpus/$_[0]" or die "$_[0]: $!"; print $file $_[1] };
    my $frame = sub { pack("CV", $_[0], length $_[1]) . $_[1] };
    my $ring = sub { $frame->(2, pack("v3Q<2VQ<v3V", $_[0], 0, 1, $_[1], 0, 64, 65536, 4, 1, 4, 4096)) };
    my $record = $frame->(3, pack("vQ<5", 0, 0, 1, 2, 3, 0) . "bytes");
    my $rest = $frame->(4, pack("vQ<", 0, 7)) . $frame->(99, "later") . $frame->(5, pack("Q<2", 1, 7));
    $write->("frames/all", $ring->(0, 1) . $record . $rest);
    $write->("frames/replaced", $ring->(0, 1) . $ring->(1, 2) . $record . $rest);
    $write->("file/begun", "mixrec\r\n" . pack("V", 1) . pack("V4", 9, 5, 0, 0));
'
run_fuzzers "$seconds" "$@"
