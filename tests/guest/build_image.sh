#!/usr/bin/env bash
# Makes the container image proa-test/busybox:1 of the tests and the demo, without a
# registry: BusyBox with all its links, the users root and nobody, CMD ["sh"].
#
#   build_image.sh [DOCKER_HOST]   unix://... only; defaults to $DOCKER_HOST or the
#                                  usual socket
#
# Writes build/busybox.tar and imports it through the Engine's API. Does nothing when the
# image is there with this content: its label says which.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/packages.sh
. "$here/../../deploy/packages.sh"

readonly REPOSITORY=proa-test/busybox TAG=1 LABEL=proa.test.content
out=$here/../../build
host=${1:-${DOCKER_HOST:-unix:///var/run/docker.sock}}
[[ $host == unix://* ]] || die "$host: only unix:// sockets are supported here"

need curl curl
apt_install busybox-static

engine() { curl -sS --unix-socket "${host#unix://}" "$@"; }

mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,dev,proc,sys,etc,root,home,var,tmp}
chmod 1777 "$root/tmp"
cp /bin/busybox "$root/bin/busybox"
/bin/busybox --list-full | while read -r applet; do
    [[ $applet == bin/busybox ]] || ln -sf /bin/busybox "$root/$applet"
done
printf '%s\n' root:x:0:0:root:/root:/bin/sh nobody:x:65534:65534:nobody:/:/bin/false \
    >"$root/etc/passwd"
printf '%s\n' root:x:0: nogroup:x:65534: >"$root/etc/group"
# The same bytes each time, so that their hash can tell whether the image is this one.
tar -C "$root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
    -cf "$work/busybox.tar" .
cmp -s "$work/busybox.tar" "$out/busybox.tar" || mv "$work/busybox.tar" "$out/busybox.tar"
content=$(sha256sum <"$out/busybox.tar")
content=${content%% *}

present=$(engine "http://localhost/images/$REPOSITORY:$TAG/json" 2>/dev/null) || true
if [[ $present == *"\"$LABEL\":\"$content\""* ]]; then
    exit 0
fi
query="fromSrc=-&repo=$REPOSITORY&tag=$TAG"
query+='&changes=CMD%20%5B%22sh%22%5D'             # CMD ["sh"]
query+="&changes=LABEL%20$LABEL%3D$content"        # LABEL name=value
# Status 200 proves nothing: it is sent before the import.
answer=$(engine -T "$out/busybox.tar" -X POST "http://localhost/images/create?$query") ||
    die "the Docker Engine at $host does not answer; deploy/engines.sh starts one"
[[ $answer == *'"sha256:'* ]] || die "the import failed: $answer"
say "made the image $REPOSITORY:$TAG"
