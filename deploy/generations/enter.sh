#!/bin/sh
# Run a command with a tree as its root, in a mount namespace of its own: later mounts of the
# caller are seen there, and none is passed back.
#
#   enter.sh ROOT COMMAND...    ROOT is a mount point with a folder mnt
#
# chroot alone is not enough: runc, which looks for the root of its mount namespace, would let
# `docker exec` enter the root of this host.
exec unshare --mount --propagation slave sh -c '
    cd "$0" && pivot_root . mnt && cd / && umount -l /mnt &&
    PATH=/usr/sbin:/usr/bin exec "$@"' "$@"
