#!/usr/bin/env bash
# Mixcord live, on this machine alone: a fake Discord, the gateway, the cache, and two processes of
# one consumer group. Shows the rates, the rings, and updates with their old and new values.
#
#   scripts/demo.sh [--seconds N] [--rate EVENTS_PER_SECOND] [--shards N]
#
# About 20 s after the build. Ends everything it started and leaves nothing behind, also on Ctrl-C.
# Needs Rust and a C compiler, nothing else. MIXCORD_BIN names a folder of built programs to use.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib/common.sh

seconds=20 rate=3000 shards=2
fail() { echo "demo.sh: $*" >&2; exit 78; }
while [ $# -gt 0 ]; do
    option=${1%%=*}
    case $option in
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
        --seconds | --rate | --shards) ;;
        *) fail "no such option: $1 (see --help)" ;;
    esac
    if [ "$option" != "$1" ]; then
        value=${1#*=}
    else
        shift
        value=${1:-}
    fi
    [[ $value =~ ^[1-9][0-9]{0,5}$ ]] || fail "$option wants a whole number, like 20"
    declare "${option#--}=$value"
    shift
done
[ -d /dev/shm ] || fail "there is no /dev/shm: mount a tmpfs there"

# What happens in this shell and in its children is none of the user's own settings.
for name in "${!MIXCORD_@}"; do [ "$name" = MIXCORD_BIN ] || unset "$name"; done
instance=demo-$$
export MIXCORD_INSTANCE=$instance
folder=$(mktemp -d)
export MIXCORD_IDENTIFY_DIR=$folder
pids=()
top=

# Ends what was started, the source first, and removes what it left.
clean_up() {
    trap '' INT TERM
    local pid tenths
    [ -z "$top" ] || pids=("$top" ${pids[@]+"${pids[@]}"})
    for pid in ${pids[@]+"${pids[@]}"}; do kill -TERM "$pid" && kill -CONT "$pid"; done 2>/dev/null
    for pid in ${pids[@]+"${pids[@]}"}; do
        for ((tenths = 0; tenths < 60; tenths++)); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    rm -rf "$folder" "/dev/shm/mixcord.$instance."*
}
trap clean_up EXIT
trap 'exit 0' INT TERM HUP

# build ARGUMENTS...: cargo build, shown as one line that counts.
build() {
    local log=$folder/build.log cargo
    require cargo "install Rust with https://rustup.rs"
    require cc "install a C compiler, on Debian: apt-get install gcc"
    cargo build --bins --examples "$@" >/dev/null 2>"$log" &
    cargo=$!
    pids+=("$cargo")
    while kill -0 "$cargo" 2>/dev/null; do
        if [ -t 1 ]; then
            printf '\r%sbuilding%s  %s crates, %s s\e[K' "$bold" "$plain" \
                "$(grep -c '^ *Compiling' "$log")" "$SECONDS"
        fi
        sleep 0.2
    done
    [ ! -t 1 ] || printf '\r\e[K'
    if ! wait "$cargo"; then
        grep -v '^ *\(Compiling\|Downloaded\|Downloading\)' "$log" | tail -30 >&2
        echo "demo.sh: the build failed, see above" >&2
        exit 1
    fi
    pids=()
}

if [ -n "${MIXCORD_BIN:-}" ]; then
    bin=$MIXCORD_BIN
else
    [ -t 1 ] || echo "building (the first time takes a minute or two)"
    build -p mixcord-gateway -p mixcord-cache -p mixcord -p mixcord-cli -p fake-discord
    bin=${CARGO_TARGET_DIR:-target}/debug
fi

# start NAME COMMAND...: in the background, its output in files of this name.
start() {
    local name=$1
    shift
    "$@" >"$folder/$name.out" 2>"$folder/$name.err" </dev/null &
    pids+=($!)
}

# Ends the demo when one of the processes has: with 0 they end only when a signal tells them to, and
# Ctrl-C reaches them all.
check() {
    local pid
    for pid in "${pids[@]}"; do
        kill -0 "$pid" 2>/dev/null && continue
        wait "$pid" && exit 0
        echo "${red}demo.sh: one of the processes ended early:${plain}" >&2
        tail -n 5 "$folder"/*.err >&2
        exit 1
    done
}

start fake-discord "$bin/fake-discord" --port 0 --shards "$shards" --guilds 24 --members 200 \
    --rate "$rate" --identify-seconds 0.1
for ((tenths = 0; tenths < 100; tenths++)); do
    [ ! -s "$folder/fake-discord.out" ] || break
    sleep 0.1
done
read -r _ _ url <"$folder/fake-discord.out" || true
[ -n "${url:-}" ] || { check; fail "fake-discord does not listen"; }

DISCORD_TOKEN=demo start gateway "$bin/mixcord-gateway" --api-url "$url/api/v10" --shards auto \
    --intents ALL --encoding etf --compression zstd-stream --ring-bytes 512KiB
start cache "$bin/mixcord-cache" --output-bytes 2MiB
start greeter-1 "$bin/examples/greeter"
start greeter-2 "$bin/examples/greeter"
sleep 0.5
check

# show SHARE TEXT: the live picture under a headline, for that percentage of the time.
show() {
    local length
    length=$(awk -v all="$seconds" -v share="$1" 'BEGIN { print all * share / 100 }')
    # In the background, so that a signal to this shell ends the wait.
    "$bin/mixcord" top --seconds "$length" --title "$2" &
    top=$!
    wait "$top"
    top=
}

first=${pids[3]} second=${pids[4]}
show 45 "${bold}Discord -> gateway -> cache -> two greeters${plain}, $rate events/s over $shards shards"
check
kill -STOP "$first" "$second"
show 25 "${bold}Both greeters are stopped:${plain} the rings fill, then the sockets are read no more; heartbeats go on"
kill -CONT "$first" "$second"
{ kill -KILL "$second" && wait "$second"; } 2>/dev/null
unset 'pids[4]'
show 30 "${bold}They go on, and greeter 2 was killed with -9:${plain} greeter 1 does its work, nothing is lost"
check

count() { wc -l <"$folder/$1.out"; }
echo
echo "${bold}One group, two processes, each guild in order:${plain}"
echo "  greeter 1 wrote $(count greeter-1) lines, greeter 2 $(count greeter-2) before it died; the last ones:"
tail -qn 2 "$folder/greeter-1.out" "$folder/greeter-2.out" | sed 's/^/    /'
echo "${dim}Its source, 30 lines: consumer-sdk/examples/greeter.rs. To run with Discord: scripts/run.sh${plain}"
