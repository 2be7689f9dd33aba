#!/usr/bin/env bash
# Checks what is in this folder with the tools that are installed, and names those that are not.
#
#   packaging/check.sh
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib/common.sh
skipped() { echo "${dim}left out: $*${plain}"; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Units must name programs that exist, so they are checked in a tree of their own.
systemd() {
    local root=$work/root unit
    local units=$root/usr/lib/systemd/system
    mkdir -p "$units" "$root/usr/bin" "$root/usr/local/bin"
    for unit in mixcord mixcord-gateway mixcord-cache mixcord-proxy mixcord-bridge; do
        install -m 755 /dev/stdin "$root/usr/bin/$unit" <<<'#!/bin/sh'
    done
    install -m 755 /dev/stdin "$root/usr/local/bin/my-bot" <<<'#!/bin/sh'
    cp packaging/systemd/*.service packaging/systemd/*.target "$units"
    for unit in sysinit basic shutdown network network-online network-pre multi-user local-fs sockets timers paths slices swap; do
        printf '[Unit]\n' > "$units/$unit.target"
    done
    printf '[Unit]\n' > "$units/system.slice"
    # Manual pages are the package's, not this tree's.
    systemd-analyze verify --man=no --root="$root" mixcord.target mixcord-gateway.service \
        mixcord-cache.service mixcord-monitor.service mixcord-consumer@my-bot.service \
        mixcord-standby.service mixcord-proxy.service mixcord-bridge@send.service mixcord-bridge@receive.service
    # 10 is a service that may do everything.
    for unit in mixcord-gateway mixcord-standby mixcord-cache mixcord-monitor mixcord-proxy mixcord-bridge@send; do
        systemd-analyze security --offline=yes --root="$root" --threshold=16 "$unit.service" > "$work/security" ||
            { cat "$work/security"; return 1; }
        tail -1 "$work/security"
    done
}

prometheus() {
    promtool check rules packaging/prometheus/mixcord.rules.yml
    promtool test rules packaging/prometheus/mixcord.rules.test.yml
}

if command -v systemd-analyze >/dev/null 2>&1; then systemd; else skipped "systemd-analyze is not installed"; fi
if command -v promtool >/dev/null 2>&1; then prometheus; else skipped "promtool is not installed (Debian: prometheus)"; fi
