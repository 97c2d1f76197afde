#!/usr/bin/env bash
# Install what the tests need besides the engines: PostgreSQL, Debian's docker-registry, jq, tmux
# and sshd. The tests start private instances themselves, so that this script leaves nothing running
# or listening. Does nothing if all are installed.
#
#   PostgreSQL: /usr/lib/postgresql/*/bin/initdb and the rest (refuse to run as root)
#   registry:   docker-registry, on PATH
set -euo pipefail
PATH=$PATH:/usr/local/bin
cd "$(dirname "$0")"
# shellcheck source=deploy/packages.sh
. ./packages.sh

has_postgres() { compgen -G '/usr/lib/postgresql/*/bin/initdb'; }
has_registry() { command -v docker-registry; }
has_jq() { command -v jq; }  # for the examples of the README
has_tmux() { command -v tmux; }  # for tests of terminal output
has_sshd() { [[ -x /usr/sbin/sshd ]] && command -v ssh; }  # for engines that are reached by SSH

if ! may_install; then
    lacking=()
    has_postgres >/dev/null || lacking+=(postgresql)
    has_registry >/dev/null || lacking+=(docker-registry)
    has_jq >/dev/null || lacking+=(jq)
    has_tmux >/dev/null || lacking+=(tmux)
    has_sshd >/dev/null || lacking+=(openssh-server openssh-client)
    apt_install "${lacking[@]}"
    exit
fi

if ! has_postgres >/dev/null; then
    # Keep the package from creating a cluster and starting it on port 5432.
    drop_in=/etc/postgresql-common/createcluster.d/proa.conf
    mkdir -p "${drop_in%/*}"
    echo 'create_main_cluster = false' >"$drop_in"
    trap 'rm -f "$drop_in"' EXIT
    apt_install postgresql
fi

if ! has_registry >/dev/null; then
    # The package would start a registry on port 5000: install the program alone.
    say "installing docker-registry"
    dir=$(mktemp -d)
    unpack "$dir" docker-registry
    install -m 755 "$dir/usr/bin/docker-registry" /usr/local/bin/docker-registry
    rm -rf "$dir"
fi

has_jq >/dev/null || apt_install jq
has_tmux >/dev/null || apt_install tmux

if ! has_sshd >/dev/null; then
    # Keep the package from starting a server on port 22, now and later.
    mkdir -p /etc/ssh
    : >/etc/ssh/sshd_not_to_be_run
    apt_install openssh-server openssh-client
fi
