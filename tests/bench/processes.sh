#!/usr/bin/env bash
# What the processes take, against fake-discord on this machine: memory by shards and groups, and the CPU of gateway
# and cache for each event by rate and pace. The figures of SIZING.md.
#
#   tests/bench/processes.sh [memory|idle|pace]...      all of them unless named
#
# CPU is of the process (user and system, /proc/PID/stat), so others may use the machine, but it gets dearer with them:
# of paces there are three rounds, one after the other in each, and the median. MIXCORD_BIN names a folder of built
# programs; else they are built, optimised.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/lib/common.sh

if [ -z "${MIXCORD_BIN:-}" ]; then
    cargo build --release --quiet -p mixcord-gateway -p mixcord-cache -p mixcord-cli -p mixcord-proxy -p fake-discord
    MIXCORD_BIN=${CARGO_TARGET_DIR:-target}/release
fi
bin=$(realpath "$MIXCORD_BIN")
for name in "${!MIXCORD_@}"; do unset "$name"; done
export MIXCORD_INSTANCE=t$$-sizes
folder=$(mktemp -d)
export MIXCORD_IDENTIFY_DIR=$folder
pids=()

end_all() {
    local pid
    for pid in ${pids[@]+"${pids[@]}"}; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in ${pids[@]+"${pids[@]}"}; do wait "$pid" 2>/dev/null || true; done
    pids=()
    "$bin/mixcord" rm >/dev/null 2>&1 || true
}
trap 'end_all; rm -rf "$folder" "/dev/shm/mixcord.$MIXCORD_INSTANCE".*' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# start NAME COMMAND...: in the background; its id in $pid.
start() {
    local name=$1
    shift
    "$@" >"$folder/$name.out" 2>"$folder/$name.err" </dev/null &
    pid=$!
    pids+=("$pid")
}

# world SHARDS GUILDS MEMBERS RATE GATEWAY_OPTIONS...: a fake Discord, gateway and cache; until all are connected.
world() {
    local shards=$1 guilds=$2 members=$3 rate=$4 url tries=0
    shift 4
    end_all
    rm -f "$folder/fake.out"
    start fake "$bin/fake-discord" --port 0 --shards "$shards" --guilds "$guilds" --members "$members" \
        --rate "$rate" --events "${EVENTS:-100000000}" --identify-seconds 0.02 --max-concurrency 16
    until [ -s "$folder/fake.out" ]; do
        kill -0 "$pid" || { cat "$folder/fake.err" >&2; exit 1; }
        sleep 0.1
    done
    read -r _ _ url <"$folder/fake.out"
    DISCORD_TOKEN=sizes start gateway "$bin/mixcord-gateway" --api-url "$url/api/v10" --shards "$shards" --intents ALL \
        --identify-spacing-ms 30 --ring-bytes "${RING:-1MiB}" "$@"
    gateway=$pid
    start cache "$bin/mixcord-cache" ${CACHE_OPTIONS:-}
    cache=$pid
    until [ "$("$bin/mixcord" ls 2>/dev/null | grep -c '^  .*connected')" = "$shards" ]; do
        tries=$((tries + 1))
        [ $tries -lt 1200 ] || { tail -n 3 "$folder"/*.err >&2; echo "not all shards connected" >&2; exit 1; }
        sleep 0.1
    done
}

anonymous() { awk '/^RssAnon/ { printf "%.1f", $2 / 1024 }' "/proc/$1/status"; }
ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }
records() { "$bin/mixcord" ls --json | sed 's/"slots"/\n&/g' | awk -F'"tail":' '/"slots"/ { split($2, n, ","); if (/"cache":{/) out = n[1] } END { print out + 0 }'; }
median() { sort -g | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

memory() {
    echo "## Memory (RssAnon, MiB, once all guilds have come and 5 s of 200 events a second)"
    echo "| shards | guilds | members each | gateway | cache |"
    echo "|---|---|---|---|---|"
    local of shards guilds members
    for of in "1 200 200" "16 400 200" "64 400 200" "256 512 100"; do
        read -r shards guilds members <<<"$of"
        world "$shards" "$guilds" "$members" 200
        sleep 5
        echo "| $shards | $guilds | $members | $(anonymous "$gateway") | $(anonymous "$cache") |"
    done
    echo
    echo "## A group (1 shard, 200 guilds): blocks of its files in /dev/shm, KiB"
    world 1 200 200 200
    local before
    before=$(du -sk --total "/dev/shm/mixcord.$MIXCORD_INSTANCE".out* | tail -1 | cut -f1)
    for group in $(seq 8); do "$bin/mixcord" groups create "g$group" >/dev/null; done
    "$bin/mixcord" groups create ring --order ring >/dev/null
    echo "8 that take events one by one, and one in the ring's order: $(($(du -sk --total "/dev/shm/mixcord.$MIXCORD_INSTANCE".out* | tail -1 | cut -f1) - before))"
    start monitor "$bin/mixcord" monitor --listen 127.0.0.1:0
    local monitor=$pid
    start proxy "$bin/mixcord-proxy" --listen 127.0.0.1:0 --no-rest
    local proxy=$pid
    start tail "$bin/mixcord" tail --group g1
    local reader=$pid
    sleep 5
    echo "monitor $(anonymous "$monitor") MiB, proxy without clients $(anonymous "$proxy") MiB, a consumer (mixcord tail) $(anonymous "$reader") MiB"
    "$bin/mixcord" cache stats
    end_all
}

idle() {
    echo "## Without events: share of a core over 20 s"
    local shards before_gateway before_cache
    for shards in 16 256; do
        EVENTS=1 world "$shards" "$shards" 10 1
        sleep 3
        before_gateway=$(ticks "$gateway") before_cache=$(ticks "$cache")
        sleep 20
        awk -v shards="$shards" -v hz="$(getconf CLK_TCK)" -v g="$(($(ticks "$gateway") - before_gateway))" \
            -v c="$(($(ticks "$cache") - before_cache))" \
            'BEGIN { printf "%d shards: gateway %.2f %%, cache %.2f %%\n", shards, g / hz * 5, c / hz * 5 }'
    done
    end_all
}

# One row of paces: µs of gateway and cache for an event, over 10 s.
one() {
    local shards=$1 rate=$2 name=$3 before_gateway before_cache first
    shift 3
    world "$shards" "$shards" 50 "$rate" "$@"
    sleep 2
    first=$(records) before_gateway=$(ticks "$gateway") before_cache=$(ticks "$cache")
    sleep 10
    awk -v n="$(($(records) - first))" -v hz="$(getconf CLK_TCK)" -v g="$(($(ticks "$gateway") - before_gateway))" \
        -v c="$(($(ticks "$cache") - before_cache))" \
        'BEGIN { printf "%.1f\n", g / hz * 1e6 / n > "/dev/stderr"; printf "%.1f\n", c / hz * 1e6 / n }' \
        2>>"$folder/$rate-$name.gateway" >>"$folder/$rate-$name.cache"
}

pace() {
    local rate round
    echo "## CPU for an event by pace: µs of gateway / cache, 64 shards, medians of three rounds"
    echo "| events/s | low-latency | balanced | low-cpu | coalesce 1 ms | 5 ms | 20 ms |"
    echo "|---|---|---|---|---|---|---|"
    for rate in 200 1000 5000; do
        for round in 1 2 3; do
            one 64 "$rate" low-latency --pace low-latency
            one 64 "$rate" balanced --pace balanced
            one 64 "$rate" low-cpu --pace low-cpu
            one 64 "$rate" c1 --coalesce-ms 1
            one 64 "$rate" c5 --coalesce-ms 5
            one 64 "$rate" c20 --coalesce-ms 20
        done
        printf '| %s |' "$rate"
        for name in low-latency balanced low-cpu c1 c5 c20; do
            printf ' %s / %s |' "$(median <"$folder/$rate-$name.gateway")" "$(median <"$folder/$rate-$name.cache")"
        done
        echo
    done
    end_all
}

uptime
for part in "${@:-memory}"; do "$part"; done
[ $# -gt 0 ] || { idle; pace; }
uptime
