#!/usr/bin/env bash
# Installs what the tests need besides the engines: the programs of PostgreSQL and of
# Debian's docker-registry, and jq. The tests start private instances of both themselves, so
# nothing is left running or listening here. Does nothing when all are there.
#
#   PostgreSQL: /usr/lib/postgresql/*/bin/initdb and the rest (refuse to run as root)
#   registry:   docker-registry, on PATH
set -euo pipefail
PATH=$PATH:/usr/local/bin
cd "$(dirname "$0")"
# shellcheck source=deploy/packages.sh
. ./packages.sh

if ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
    # The package would make a cluster and start it on port 5432.
    drop_in=/etc/postgresql-common/createcluster.d/proa.conf
    if may_install; then
        mkdir -p "${drop_in%/*}"
        echo 'create_main_cluster = false' >"$drop_in"
        trap 'rm -f "$drop_in"' EXIT
    fi
    apt_install postgresql
fi

if ! command -v docker-registry >/dev/null; then
    # The package would start a registry on port 5000: take the program alone.
    may_install || apt_install docker-registry
    say "installing docker-registry"
    dir=$(mktemp -d)
    unpack "$dir" docker-registry
    install -m 755 "$dir/usr/bin/docker-registry" /usr/local/bin/docker-registry
    rm -rf "$dir"
fi

need jq jq  # the README's examples
