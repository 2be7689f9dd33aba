# Shared by the scripts: colours on a terminal, named requirements, stages with their time.
# shellcheck shell=bash

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
    bold='' dim='' green='' red='' plain=''
fi

# require COMMAND "what to do"
require() {
    command -v "$1" >/dev/null 2>&1 || { echo "${red}$1 is missing:${plain} $2" >&2; exit 1; }
}

# run_stages NAME...: calls stage_NAME for each, in order; stops at the first that fails.
run_stages() {
    local stages number=0 started name
    read -ra stages <<<"$*"
    for name in "${stages[@]}"; do
        declare -F "stage_$name" >/dev/null || { echo "no such stage: $name" >&2; exit 2; }
    done
    for name in "${stages[@]}"; do
        number=$((number + 1))
        started=$SECONDS
        echo "${bold}[$number/${#stages[@]}] $name${plain}"
        if ! "stage_$name"; then
            echo "${red}$name failed after $((SECONDS - started)) s${plain}" >&2
            # What a machine that nobody can look at had left.
            df -h . /tmp /dev/shm >&2 || true
            uptime >&2 || true
            exit 1
        fi
        echo "${green}$name passed${plain} ${dim}in $((SECONDS - started)) s${plain}"
    done
    echo "${green}${bold}all ${#stages[@]} stages passed in $SECONDS s${plain}"
}
