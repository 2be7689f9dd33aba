#!/usr/bin/env bash
# Builds the Debian package from a debug build, and installs, runs, upgrades and purges it as packaging/README.md says: in a
# root of its own, which is this machine's with a layer over it, so that nothing here changes.
#
#   packaging/debian/check.sh
#
# Needs cargo-deb, dpkg and, as root, namespaces with overlayfs; what is missing is said in one line, and 0 returned.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/lib/common.sh
target=$(realpath "${CARGO_TARGET_DIR:-target}")
left_out() { echo "${dim}left out: $*${plain}"; exit 0; }
fail() { echo "${red}package: $*${plain}" >&2; exit 1; }

# --- outside: build, then come in again with processes and mounts that end with us ---------------------------------

if [ "${1:-}" != --inside ]; then
    cargo deb --version >/dev/null 2>&1 || left_out "cargo-deb is not installed (cargo install cargo-deb --locked)"
    command -v dpkg-deb >/dev/null 2>&1 || left_out "dpkg is not installed: this is no Debian"
    [ "$(id -u)" = 0 ] || left_out "only root can install a package"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    inside() { unshare --mount --pid --fork --kill-child --mount-proc "$@"; }
    inside bash -c "mount -t tmpfs none '$work' && mkdir '$work'/{up,work,root} &&
        mount -t overlay none -o 'lowerdir=/,upperdir=$work/up,workdir=$work/work' '$work/root'" 2>/dev/null ||
        left_out "this machine allows no namespaces with overlayfs"
    rm -f "$target"/debian/mixcord_*.deb
    packaging/debian/build.sh --dev
    package=$(echo "$target"/debian/mixcord_*.deb)
    [ -f "$package" ] || fail "$package was not made"
    cargo build --quiet --locked --bin fake-discord
    inside "$0" --inside "$work" "$package" "$target/debug/fake-discord"
    exit
fi

# --- inside --------------------------------------------------------------------------------------------------------

work=$2 package=$3 fake=$4
mount -t tmpfs none "$work"
mkdir "$work"/{up,work,root}
mount -t overlay none -o "lowerdir=/,upperdir=$work/up,workdir=$work/work" "$work/root"
root=$work/root
mount --rbind /dev "$root/dev" && mount -t tmpfs -o mode=1777 none "$root/dev/shm"
mount -t proc none "$root/proc"
mount -t tmpfs none "$root/run"
cp "$package" "$root/mixcord.deb"
in_root() { chroot "$root" "$@"; }
as_user() { chroot --userspec=mixcord:mixcord "$root" env -i PATH=/usr/bin:/bin "$@"; }

# What a service manager would do of a unit: variables, the credential, the command.
run_unit() {
    local unit=$1 line
    line=$(sed -n 's/^ExecStart=//p' "$root/usr/lib/systemd/system/$unit.service")
    local variables=()
    mapfile -t variables < <(sed -n 's/^Environment=//p' "$root/usr/lib/systemd/system/$unit.service"
        grep '^[A-Z]' "$root/etc/mixcord/mixcord.env" || true)
    line=${line//%d//run/credentials/$unit}
    # shellcheck disable=SC2086
    as_user "${variables[@]//%S//var/lib}" $line >"$work/$unit.log" 2>&1 &
}

until_so() {
    local what=$1 tries=0
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || { tail -n 20 "$work"/*.log >&2; fail "waited in vain for $what"; }
        sleep 0.1
    done
}

echo "  contents"
dpkg-deb --contents "$package" | awk '{print $6}' >"$work/contents"
for file in usr/bin/mixcord usr/bin/mixcord-{gateway,cache,proxy,bridge} etc/mixcord/mixcord.env \
    usr/lib/systemd/system/mixcord-{gateway,standby,cache,monitor,proxy,bridge@}.service usr/lib/systemd/system/mixcord{,-consumer@}.{target,service} \
    usr/share/man/man1/mixcord{,-gateway,-cache,-proxy,-bridge}.1.gz usr/share/bash-completion/completions/mixcord; do
    case $file in *mixcord.service | *consumer@.target) continue ;; esac
    grep -qx "./$file" "$work/contents" || fail "$file is not in it"
done

echo "  install"
in_root dpkg -i /mixcord.deb >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log"; fail "dpkg -i failed"; }
in_root getent passwd mixcord >/dev/null || fail "there is no user mixcord"
[ "$(stat -c %a "$root/etc/mixcord")" = 700 ] || fail "others can look into /etc/mixcord"
in_root mixcord --version | grep -q '^mixcord [0-9]' || fail "mixcord --version"
# Without a token it says so, and ends in such a way that nothing restarts it.
code=0
as_user mixcord-gateway >"$work/no-token.log" 2>&1 || code=$?
[ $code = 78 ] && grep -q 'no token' "$work/no-token.log" || fail "without a token: $code, $(cat "$work/no-token.log")"

echo "  run"
"$fake" --port 0 --shards 2 --guilds 4 --members 8 --rate 50 --events 1000000 --identify-seconds 0.1 >"$work/fake.log" 2>&1 &
until_so "fake-discord" grep -q '^listening on ' "$work/fake.log"
url=$(sed -n 's/^listening on //p' "$work/fake.log")
install -m 600 /dev/stdin "$root/etc/mixcord/token" <<<"MTE3NTYyMzQ4MjM3NDkx.package-Secret.0123456789abcdefghijklm"
printf 'MIXCORD_API_URL=%s/api/v10\nMIXCORD_IDENTIFY_SPACING_MS=150\nMIXCORD_LISTEN=127.0.0.1:0\nMIXCORD_PROXY_LISTEN=127.0.0.1:0\nMIXCORD_INTENTS=ALL\n' "$url" >>"$root/etc/mixcord/mixcord.env"
# As LoadCredential= and StateDirectory= have them.
install -d -o 0 -g 0 -m 755 "$root/run/credentials"
in_root install -d -o mixcord -g mixcord -m 500 /run/credentials/mixcord-gateway
in_root install -o mixcord -g mixcord -m 400 /etc/mixcord/token /run/credentials/mixcord-gateway/discord_token
in_root install -d -o mixcord -g mixcord -m 700 /var/lib/mixcord
for unit in mixcord-gateway mixcord-cache mixcord-monitor mixcord-proxy; do run_unit $unit; done
as_user mixcord tail --count 20 --timeout 60 >"$work/tail.log" 2>&1 || fail "mixcord tail: $(tail -n 5 "$work"/*.log)"
until_so "both shards" grep -q 'shard{id=1}: connected' "$work/mixcord-gateway.log"
until_so "the monitor" grep -q '^listening on ' "$work/mixcord-monitor.log"
page=$(sed -n 's/^listening on //p' "$work/mixcord-monitor.log")
until_so "/readyz" curl --silent --fail "${page%/}/readyz"
# The gateway keeps its memory to itself, and what it takes is seen all the same.
until_so "figures of the gateway" sh -c "curl --silent '${page%/}/metrics' | grep -q 'process_cpu_seconds_total{process=\"gateway\"}'"
until_so "the proxy" grep -q '^listening on ' "$work/mixcord-proxy.log"
proxy=$(sed -n 's/^listening on //p' "$work/mixcord-proxy.log")
until_so "the proxy's gateway" sh -c "curl --silent '$proxy/api/v10/gateway' | grep -q '\"url\"'"
if grep -rq package-Secret "$root/dev/shm" "$work"/*.log; then fail "the token lies about"; fi

echo "  upgrade"
in_root dpkg -i /mixcord.deb >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log"; fail "a second dpkg -i failed"; }
grep -q MIXCORD_API_URL "$root/etc/mixcord/mixcord.env" || fail "an upgrade forgot the configuration"
in_root pkill -TERM -u mixcord
until_so "all to end" sh -c "! chroot '$root' pgrep -u mixcord"

echo "  purge"
in_root dpkg --purge mixcord >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log"; fail "dpkg --purge failed"; }
for left in "$root"/etc/mixcord "$root"/var/lib/mixcord "$root"/usr/bin/mixcord* "$root"/usr/lib/systemd/system/mixcord*; do
    [ ! -e "$left" ] || fail "${left#"$root"} is left"
done
echo "  $(basename "$package"): installed, run, upgraded and purged"
