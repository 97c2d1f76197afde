# shellcheck shell=bash
# Shell functions that start the engines' daemons without systemd, also after they were killed.
# Sourced by engines.sh, which sets `set -euo pipefail`.
daemon=
readonly DOCKER_LOG=/var/log/dockerd.log
readonly LIBVIRT_LOG=/var/log/libvirt/libvirtd.log VIRTLOG_LOG=/var/log/libvirt/virtlogd.log

# pid_is PIDFILE NAME: succeed if the process runs. A zombie, or another process that got the pid,
# has another `exe`.
pid_is() {
    local pid
    pid=$(cat "$1" 2>/dev/null) && [[ $(readlink "/proc/$pid/exe") == */"$2"* ]]
}

# detached LOG COMMAND...: start a daemon that outlives shell and make, and set `daemon` to its pid.
# It gets a session of its own, none of our descriptors, default signals (background jobs ignore
# SIGINT, which every container would inherit) and the usual PATH.
detached() {
    local log=$1
    shift
    (
        exec </dev/null >>"$log" 2>&1
        for fd in /proc/"$BASHPID"/fd/*; do
            fd=${fd##*/}
            ((fd < 3)) || exec {fd}>&-
        done
        cd /
        export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        exec env --default-signal setsid "$@"
    ) &
    daemon=$!
}

# await COMMAND: wait until it succeeds, at most a minute and only while `daemon`, if set, runs
await() {
    local end=$((SECONDS + 60))
    until "$1"; do
        ((SECONDS < end)) || return 1
        [[ -z $daemon ]] || kill -0 "$daemon" 2>/dev/null || return 1
        sleep 0.1
    done
}

# Remove the remains of a killed engine: dockerd does not start if a pid file names any running
# process, or if any file is at the address of the system's containerd.
start_dockerd_by_hand() {
    local run=/var/run/docker socket=/run/containerd/containerd.sock refused=7 status=0
    daemon=
    if pid_is $run.pid dockerd; then return 0; fi
    rm -f $run.pid
    pid_is $run/containerd/containerd.pid containerd || rm -f $run/containerd/containerd.pid
    if [[ -S $socket ]]; then
        curl -s --max-time 2 --unix-socket $socket http://localhost/ >/dev/null || status=$?
        ((status != refused)) || rm -f $socket
    fi
    detached $DOCKER_LOG dockerd
}

# virtlogd and libvirtd lock their pid files, so that stale ones do no harm.
start_virtlogd_by_hand() {
    pid_is /run/virtlogd.pid virtlogd || detached $VIRTLOG_LOG virtlogd
}

# Without udev, only root may have access to /dev/kvm. libvirt's probe runs as root and finds KVM,
# notices that QEMU has no access, drops the result and probes again: 4 s or more for each define
# and start. Therefore hide /dev/kvm from libvirtd.
#
# libvirt takes a QEMU for running until it is reaped, by the first process, which looks only every
# two seconds in some small VMs. tini does it at once: the end of a domain takes 0.2 s, not 1 to 2 s.
start_libvirtd_by_hand() {
    local no_kvm=/run/proa-no-kvm own_mounts=(unshare --mount --propagation slave) hide=()
    daemon=
    if pid_is /run/libvirtd.pid libvirtd; then return 0; fi
    if [[ -e /dev/kvm ]] && "${own_mounts[@]}" true 2>/dev/null &&
        ! runuser -u libvirt-qemu -- test -r /dev/kvm -a -w /dev/kvm; then
        # Share mounts, as systemd does at boot: otherwise later mounts, such as the disk of a
        # storage pool, would be invisible to libvirtd.
        mount --make-rshared /
        [[ -e $no_kvm ]] || mknod -m 600 $no_kvm c 1 3
        # shellcheck disable=SC2016  # for the inner shell
        hide=("${own_mounts[@]}" sh -c 'mount --bind "$0" /dev/kvm && exec "$@"' "$no_kvm")
        say "QEMU's user may not open /dev/kvm: domains will be emulated"
    fi
    detached $LIBVIRT_LOG "${hide[@]}" tini -s -- libvirtd
}
