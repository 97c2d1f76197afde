#!/usr/bin/env bash
# Run a command beside the Docker Engine and the libvirt of a Debian suite, without installing them.
#
#   run.sh SUITE COMMAND...    such as: run.sh trixie .venv/bin/pytest tests/contract/test_docker.py
#
# The command gets the addresses of the engines in DOCKER_HOST and PROA_LIBVIRT_URI, and a
# `dockerd` of that suite on its PATH. It runs as root in namespaces of its own for mounts,
# processes and the network, which it shares with these engines alone: no mount, no unmount and no
# bridge of theirs reaches the host, and all processes end with the command, however that ends.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/packages.sh
. "$here/../packages.sh"

(($# > 1)) || die "usage: run.sh SUITE COMMAND..."
[[ $EUID -eq 0 ]] || die "only root may start other generations of engines"
suite=$1
shift
need curl curl
tree=$("$here/tree.sh" "$suite")

# The folders of runs and the tree are locked by those who use them: what is not, was left by a run
# that was killed. One run at a time looks, and makes its own.
cache=${tree%/*}
exec {runs}>"$cache/runs.lock"
flock "$runs"
for old in "$cache"/*.run; do
    [[ ! -d $old ]] || flock -n "$old" rm -rf --one-file-system "$old" || true
done
run=$(mktemp -d -p "$cache" --suffix=.run)
exec {used}<"$tree" {mine}<"$run"
flock -s "$used"
flock -s "$mine"
exec {runs}>&-
chmod 755 "$run"
trap 'rm -rf --one-file-system "$run"' EXIT

status=0
setpriv --pdeathsig KILL unshare --mount --net --pid --fork --kill-child --mount-proc \
    --propagation private "$here/inside.sh" "$tree" "$run" "$@" || status=$?
exit $status
