#!/usr/bin/env bash
# Mixcord on several machines, all of them on this one: three nats-servers, two gateways that share the shards, two
# workers with a cache and a consumer each. One worker and the leader of the log are killed on the way.
#
#   scripts/demo-cluster.sh [--events N] [--rate EVENTS_PER_SECOND]
#
# A table says what each worker saw; it fails unless both saw every event once. Ends everything it started and leaves
# nothing behind, also on Ctrl-C. Needs Rust, a C compiler, and a nats-server, which it fetches where there is none.
# MIXCORD_BIN names a folder of built programs to use.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib/common.sh
. scripts/lib/nats.sh

events=20000 rate=2000
fail() { echo "demo-cluster.sh: $*" >&2; exit 78; }
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
        --events | --rate)
            [[ ${2:-} =~ ^[1-9][0-9]{0,6}$ ]] || fail "$1 wants a whole number, like 2000"
            declare "${1#--}=$2"
            shift
            ;;
        *) fail "no such option: $1 (see --help)" ;;
    esac
    shift
done
[ -d /dev/shm ] || fail "there is no /dev/shm: mount a tmpfs there"
find_nats || exit 78

for name in "${!MIXCORD_@}"; do [ "$name" = MIXCORD_BIN ] || unset "$name"; done
if [ -n "${MIXCORD_BIN:-}" ]; then
    bin=$MIXCORD_BIN
else
    require cargo "install Rust with https://rustup.rs"
    require cc "install a C compiler, on Debian: apt-get install gcc"
    echo "building (the first time takes some minutes)"
    cargo build --quiet -p mixcord-gateway -p mixcord-cache -p mixcord-bridge -p mixcord-cli -p fake-discord || exit 1
    bin=${CARGO_TARGET_DIR:-target}/debug
fi

bot=demo-$$
folder=$(mktemp -d)
export MIXCORD_IDENTIFY_DIR=$folder
declare -A pid=()

clean_up() {
    trap '' INT TERM
    local name tenths
    for name in "${!pid[@]}"; do kill -TERM "${pid[$name]}" 2>/dev/null; done
    for name in "${!pid[@]}"; do
        for ((tenths = 0; tenths < 60; tenths++)); do
            kill -0 "${pid[$name]}" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "${pid[$name]}" 2>/dev/null
        wait "${pid[$name]}" 2>/dev/null
    done
    rm -rf "$folder" "/dev/shm/mixcord.$bot-"*
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

# start NAME COMMAND...: in the background, its output behind what a former one of this name wrote.
start() {
    local name=$1
    shift
    "$@" >>"$folder/$name.out" 2>>"$folder/$name.err" </dev/null &
    pid[$name]=$!
}
# kill9 NAME: as a machine dies.
kill9() {
    kill -KILL "${pid[$1]}" && wait "${pid[$1]}" 2>/dev/null
    unset "pid[$1]"
}
# until_true SECONDS COMMAND...
until_true() {
    local tenths=$(($1 * 10))
    shift
    until "$@"; do
        ((tenths-- > 0)) || return 1
        sleep 0.1
    done
}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

ports=() routes=()
for _ in 1 2 3; do ports+=("$(free_port)") routes+=("$(free_port)"); done
nats_url=$(printf 'nats://127.0.0.1:%s,' "${ports[@]}")
nats_url=${nats_url%,}
broker() {
    local at=$(($1 - 1))
    start "nats-$1" "$nats" -n "nats-$1" -a 127.0.0.1 -p "${ports[$at]}" -js -sd "$folder/nats-$1" \
        --cluster_name demo --cluster "nats://127.0.0.1:${routes[$at]}" \
        --routes "$(printf 'nats://127.0.0.1:%s,' "${routes[@]}" | sed 's/,$//')"
}
for number in 1 2 3; do broker $number; done
for port in "${ports[@]}"; do until_true 20 listens "$port" || fail "a nats-server does not listen"; done

start discord "$bin/fake-discord" --port 0 --seed 7 --shards 4 --guilds 24 --members 50 --events "$events" \
    --rate "$rate" --identify-seconds 0.1
until_true 10 test -s "$folder/discord.out" || fail "fake-discord does not listen"
read -r _ _ discord <"$folder/discord.out"

bridge() { # bridge NAME INSTANCE END OPTION...
    local name=$1 instance=$bot-$2
    shift 2
    start "$name" "$bin/mixcord-bridge" --instance "$instance" --bot "$bot" --nats "$nats_url" "$@"
}
gateway() { # gateway NAME SHARDS
    DISCORD_TOKEN=demo start "gateway-$1" "$bin/mixcord-gateway" --instance "$bot-$1" --api-url "$discord/api/v10" \
        --shards "$2" --intents ALL --feeds bridge --ring-bytes 1MiB
    bridge "send-$1" "$1" send --stream "$1" --replicas 3 --stream-bytes 64MiB --retain 8MiB
}
worker() {
    bridge "receive-$1" "$1" receive --ring-bytes 1MiB
    start "cache-$1" "$bin/mixcord-cache" --instance "$bot-$1" --output-bytes 8MiB
    start "consumer-$1" "$bin/mixcord" tail --instance "$bot-$1" --group bot --from earliest
}
worker w1
worker w2
gateway g1 0..1/4
gateway g2 2..3/4

seen() { cat "$folder/consumer-$1.out" 2>/dev/null | wc -l; }
at_least() { [ "$(seen "$1")" -ge "$2" ]; }
step() { echo "${bold}$(date +%T)${plain} $*"; }

step "three nats-servers, gateways g1 (shards 0..1) and g2 (2..3), workers w1 and w2: $events events at $rate/s"
until_true 60 at_least w2 $((events / 5)) || fail "nothing arrives: see $(tail -qn 3 "$folder"/*.err | tail -5)"
step "worker w2 dies: its bridge, its cache and its consumer are killed with -9"
for name in receive-w2 cache-w2 consumer-w2; do kill9 $name; done
until_true 60 at_least w1 $((events * 2 / 5)) || fail "w1 stands still"
leader=$("$bin/mixcord-bridge" --bot "$bot" --nats "$nats_url" status --json |
    sed -n 's/.*"leader": "nats-\([123]\)".*/\1/p' | head -1)
step "nats-${leader:=1}, which leads a stream, dies"
kill9 "nats-$leader"
worker w2
step "worker w2 is back"
until_true 60 at_least w1 $((events * 3 / 5)) || fail "w1 stands still without nats-$leader"
broker "$leader"
step "nats-$leader is back"

cat >"$folder/compare.py" <<'P'
import collections, json, sys, urllib.request
discord, *files = sys.argv[1:]
sent = [json.loads(line) for line in urllib.request.urlopen(discord + "/fake/journal").read().splitlines()]
of = lambda e: (e["shard"], e["seq"])  # each shard has one session
sent = [of(e) for e in sent]
good = True
rows = []
for name, path in (pair.split("=", 1) for pair in files):
    seen, gaps = [], 0
    for line in open(path, errors="replace"):
        try:
            event = json.loads(line)
        except ValueError:
            continue  # the last line of a consumer that was killed
        gaps += event["kind"] == "GAP"
        if event["index"] == 0 and event["kind"] not in ("GAP", "SHARD_STATE", "LOST"):
            seen.append(of(event))
    counts = collections.Counter(seen)
    missing = len(set(sent) - set(counts))
    # What a consumer held when it was killed is given again, and it had printed it.
    twice = sum(count - 1 for count in counts.values())
    rows.append((name, len(sent), len(counts), missing, twice, gaps))
    good &= missing == 0 and gaps == 0
print(f"{'worker':8} {'sent':>8} {'seen':>8} {'missing':>8} {'again':>8} {'gaps':>6}")
for row in rows:
    print("{:8} {:8} {:8} {:8} {:8} {:6}".format(*row))
sys.exit(not good)
P
finished() { curl -fs "$discord/fake/status" | grep -q '"drained":false' && return 1 || return 0; }
compare() { python3 "$folder/compare.py" "$discord" "w1=$folder/consumer-w1.out" "w2=$folder/consumer-w2.out"; }
all_seen() { compare >"$folder/table"; }
until_true 120 finished || fail "fake-discord has not sent everything"
until_true 60 all_seen
result=$?
cat "$folder/table"
if [ $result != 0 ]; then
    tail -qn 3 "$folder"/*.err >&2
    echo "${red}something is missing${plain}" >&2
    exit 1
fi
echo "${green}Both workers saw every event.${plain} ${dim}\"again\": what consumer w2 had in hand when it was killed${plain}"
