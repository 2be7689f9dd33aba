#!/usr/bin/env bash
# Mixcord for production: the gateway and the cache, and your consumer if you name one, each
# restarted when it dies.
#
#   DISCORD_TOKEN=… scripts/run.sh [GATEWAY OPTIONS] [--cache CACHE OPTIONS] [-- CONSUMER [ARGUMENTS]]
#
#   DISCORD_TOKEN=… scripts/run.sh --shards auto --intents GUILDS,GUILD_MESSAGES -- ./my-bot
#
# --instance among the gateway's options is given to the cache too, and to the consumer as
# MIXCORD_INSTANCE. The token reaches the gateway alone, through its environment.
#
# What dies is started again after 1 s, then 2, 4 … 60 s; a minute of life starts over at 1 s. Exit
# code 78 means that a restart cannot help (a bad option, a wrong token): then everything is stopped
# and run.sh ends with 78. A gateway that ends with 0 has nothing left to run, because `mixcord reshard`
# changed the shard count and its shards run no more: it is not started again, and the others go on. With
# --shards auto, or all shards of a count, one process goes on with the new count by itself. SIGTERM, SIGINT and SIGHUP stop all and end with 0; sessions and state
# stay in /dev/shm, and the next run goes on where this one stopped.
#
# The programs are taken from MIXCORD_BIN, else built with cargo.
set -uo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/scripts/lib/common.sh"

gateway=() cache=() consumer=() target=gateway
while [ $# -gt 0 ]; do
    case "$target:$1" in
        gateway:-h | gateway:--help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
        gateway:--cache) target=cache ;;
        gateway:-- | cache:--) target=consumer ;;
        gateway:--instance)
            [ $# -gt 1 ] || { echo "run.sh: --instance needs a name" >&2; exit 78; }
            export MIXCORD_INSTANCE=$2
            shift
            ;;
        gateway:--instance=*) export MIXCORD_INSTANCE=${1#--instance=} ;;
        gateway:*) gateway+=("$1") ;;
        cache:*) cache+=("$1") ;;
        consumer:*) consumer+=("$1") ;;
    esac
    shift
done

if [ -z "${MIXCORD_BIN:-}" ]; then
    require cargo "install Rust with https://rustup.rs, or name the folder of the programs in MIXCORD_BIN"
    (cd "$here" && cargo build --release --quiet --bins) || exit 78
    MIXCORD_BIN=${CARGO_TARGET_DIR:-$here/target}/release
fi
for program in mixcord-gateway mixcord-cache; do
    [ -x "$MIXCORD_BIN/$program" ] || { echo "run.sh: no $program in $MIXCORD_BIN" >&2; exit 78; }
done

say() { echo "${dim}$(date '+%F %T')${plain} run.sh: $*" >&2; }

# supervise NAME COMMAND...: runs COMMAND until told to stop or until it ends with 78; a gateway also until
# it ends with 0.
supervise() {
    local name=$1 child=0 stopping=0 delay=1 started code
    shift
    trap 'stopping=1; [ "$child" = 0 ] || kill -TERM "$child" 2>/dev/null' TERM
    trap '' INT HUP
    while [ $stopping = 0 ]; do
        started=$SECONDS
        "$@" &
        child=$!
        # A signal that came between the fork and this line found no child to pass it to.
        [ $stopping = 0 ] || kill -TERM "$child" 2>/dev/null
        # `wait` returns early when the trap runs: only a child that is gone has an exit code.
        while :; do
            wait "$child"
            code=$?
            kill -0 "$child" 2>/dev/null || break
        done
        child=0
        [ $stopping = 0 ] || break
        if [ "$code" = 78 ]; then
            say "${red}$name ended with 78${plain}: a restart cannot help, see its message above"
            exit 78
        fi
        if [ "$code" = 0 ] && [ "$name" = gateway ]; then
            say "$name is done: it is not started again"
            exit 0
        fi
        [ $((SECONDS - started)) -lt 60 ] || delay=1
        say "$name ended with $code; starting it again in $delay s"
        sleep "$delay" &
        child=$!
        wait "$child"
        child=0
        delay=$((delay < 32 ? delay * 2 : 60))
    done
    exit 0
}

supervisors=()
stop_all() {
    [ ${#supervisors[@]} = 0 ] || kill -TERM "${supervisors[@]}" 2>/dev/null
}
ended=0
trap 'ended=1; stop_all' TERM INT HUP

supervise gateway "$MIXCORD_BIN/mixcord-gateway" ${gateway[@]+"${gateway[@]}"} &
supervisors+=($!)
unset DISCORD_TOKEN
supervise cache "$MIXCORD_BIN/mixcord-cache" ${cache[@]+"${cache[@]}"} &
supervisors+=($!)
if [ ${#consumer[@]} -gt 0 ]; then
    supervise consumer "${consumer[@]}" &
    supervisors+=($!)
fi

# A supervisor ends only when it was told to, with 78, or when there is nothing left to run.
result=0
while [ ${#supervisors[@]} -gt 0 ]; do
    wait -n -p gone "${supervisors[@]}"
    code=$?
    [ -n "${gone:-}" ] || continue
    left=()
    for pid in "${supervisors[@]}"; do [ "$pid" = "$gone" ] || left+=("$pid"); done
    supervisors=(${left[@]+"${left[@]}"})
    if [ "$code" = 78 ] && [ $ended = 0 ]; then
        result=78
        ended=1
        stop_all
    fi
    gone=''
done
exit $result
