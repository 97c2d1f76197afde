# shellcheck shell=bash
# Shell functions shared by the scripts that install or build something.
# Sourced, never run. The sourcing script sets `set -euo pipefail`.
#
#   say WORDS          print a line on stdout
#   warn WORDS         print a line on stderr
#   die WORDS          print a line on stderr and exit with 1
#   may_install        succeed as root on Debian or Ubuntu
#   missing PKG...     print the Debian packages that are not installed
#   apt_install PKG... install the missing packages, or name them and fail
#   need CMD PKG       apt_install PKG unless the command CMD exists

say() { printf '%s: %s\n' "${0##*/}" "$*"; }
warn() { say "$@" >&2; }
die() { warn "$@"; exit 1; }

may_install() {
    local ids
    [[ $EUID -eq 0 ]] || return 1
    command -v apt-get >/dev/null || return 1
    # A subshell, because os-release defines NAME, VERSION and more.
    # shellcheck source=/dev/null
    ids=$(. /etc/os-release && echo " ${ID:-} ${ID_LIKE:-} ")
    [[ $ids == *" debian "* || $ids == *" ubuntu "* ]]
}

missing() {
    local package
    for package in "$@"; do
        [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
            printf '%s\n' "$package"
    done
}

apt_is_fresh=0
apt_install() {
    local wanted log
    mapfile -t wanted < <(missing "$@")
    ((${#wanted[@]})) || return 0
    if ! may_install; then
        warn "missing: ${wanted[*]} (Debian package names)." \
            "Install them, on Debian or Ubuntu as root with:" \
            "apt-get install --no-install-recommends ${wanted[*]}"
        return 1
    fi
    say "installing ${wanted[*]}"
    log=$(mktemp)
    # The lock serializes parallel runs of these scripts, since `apt-get update` does not wait
    # for its own lock. Descriptor 9 is closed for apt-get, because a service that a package
    # starts would keep the lock.
    if (
        flock 9
        export DEBIAN_FRONTEND=noninteractive
        # Ignore a failure, such as of one broken third-party source: the install decides.
        ((apt_is_fresh)) || apt-get update -q 9>&- || echo "apt-get update failed"
        apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 \
            -o Dpkg::Options::=--force-confold "${wanted[@]}" 9>&-
    ) 9>/run/lock/proa-apt.lock </dev/null >"$log" 2>&1; then
        rm -f "$log"
        apt_is_fresh=1
    else
        tail -n 30 "$log" >&2
        rm -f "$log"
        warn "could not install ${wanted[*]} (apt-get's last words are above)"
        return 1
    fi
}

need() {
    command -v "$1" >/dev/null || apt_install "$2"
}

# unpack DIR PKG...: unpack the packages into DIR without installing them
unpack() {
    local dir=$1 debs
    shift
    debs=$(mktemp -d)
    # The package lists may be missing or outdated: update them and try again.
    if ! (cd "$debs" && apt-get download -qq "$@") 2>/dev/null; then
        may_install || { rm -rf "$debs"; warn "cannot download $*: run apt-get update as root"; return 1; }
        apt-get update -q >/dev/null
        (cd "$debs" && apt-get download -qq "$@")
    fi
    for deb in "$debs"/*.deb; do dpkg -x "$deb" "$dir"; done
    rm -rf "$debs"
}
