#!/usr/bin/env bash
# Instructions a unit of the event part, counted by callgrind: repeatable where times are not.
#
#   tests/bench/instructions.sh          needs valgrind (Debian: apt-get install valgrind)
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v valgrind >/dev/null || { echo "valgrind is missing: apt-get install valgrind" >&2; exit 1; }
cargo build --release --quiet -p mixcord-bench --bin event-instructions
program=${CARGO_TARGET_DIR:-target}/release/event-instructions

# instructions CASE EVENT COUNT: of the whole run
instructions() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$@" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

# row CASE EVENT COUNT
row() {
    local once twice
    once=$(instructions "$1" "$2" "$3")
    twice=$(instructions "$1" "$2" $(($3 * 2)))
    printf '| %s | %s | %d |\n' "$1" "$2" $(((twice - once) / $3))
}

printf '| case | event | instructions |\n|---|---|---|\n'
for event in MESSAGE_CREATE PRESENCE_UPDATE TYPING_START; do
    for case in etf json skip; do row $case $event 300; done
done
for case in etf json skip; do row $case GUILD_CREATE 5; done
for case in check seal sealed; do row $case MESSAGE_CREATE 300; done
row fields MESSAGE_CREATE 300
