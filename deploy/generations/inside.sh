#!/usr/bin/env bash
# The part of run.sh that is in the namespaces, as their first process.
#
#   inside.sh TREE RUN COMMAND...    RUN is an empty folder for all that is written
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/packages.sh
. "$here/../packages.sh"
# shellcheck source=deploy/daemons.sh
. "$here/../daemons.sh"

tree=$1 run=$2 root=$2/root
shift 2

# The host's mounts were left behind as private ones. From here on the engines, in namespaces of
# their own below this one, see what tests mount, and not the other way round.
mount --make-rshared /

# The tree stays as it is: what is written comes into a layer over it, in memory.
mkdir "$root" "$run"/{layer,docker,libvirt,log,bin}
mount -t tmpfs -o mode=755 tmpfs "$run/layer"
mkdir "$run"/layer/{upper,work}
mount -t overlay -o "lowerdir=$tree,upperdir=$run/layer/upper,workdir=$run/layer/work" overlay "$root"

mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
# That of this network, with the control groups of the host.
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
# Where tests have their sockets, pools and media, and what containers bind.
mkdir -p "$root/srv"
for shared in /tmp /var/tmp /srv; do mount --bind "$shared" "$root$shared"; done
mkdir -p "$root"/var/lib/{docker,libvirt/dnsmasq} "$root"/var/log/libvirt/qemu
mount --bind "$run/docker" "$root/var/lib/docker"
cp -a "$root/var/lib/libvirt/." "$run/libvirt/"
mount --bind "$run/libvirt" "$root/var/lib/libvirt"
# A KVM that seems to be usable and is not would be asked for again and again: domains are emulated.
if [[ -e /dev/kvm ]]; then
    : >"$run/no-kvm"
    mount --bind "$run/no-kvm" "$root/dev/kvm"
    mount -o remount,bind,ro "$root/dev/kvm"
fi

# What the packages' own scripts would have made.
etc=$root/etc
cp "$root/usr/share/base-passwd/passwd.master" "$etc/passwd"
cp "$root/usr/share/base-passwd/group.master" "$etc/group"
cat >>"$etc/passwd" <<END
libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin
libvirt-dnsmasq:x:64056:64056::/var/lib/libvirt/dnsmasq:/usr/sbin/nologin
END
for group in libvirt-qemu:64055 libvirt-dnsmasq:64056 libvirt:64057 docker:64058 kvm:64059; do
    grep -q "^${group%:*}:" "$etc/group" || echo "${group%:*}:x:${group#*:}:" >>"$etc/group"
done
for name in iptables ip6tables iptables-save iptables-restore ip6tables-save ip6tables-restore; do
    [[ -e $root/usr/sbin/$name ]] || ln -s xtables-nft-multi "$root/usr/sbin/$name"
done
cp /etc/hosts "$etc/hosts"
cp -L /etc/resolv.conf "$etc/resolv.conf"
[[ ! -s /etc/machine-id ]] || cp /etc/machine-id "$etc/machine-id"
mkdir -p "$etc/libvirt/qemu/networks/autostart"
# Domains get a card on it by default, and their addresses from it. It has no rules for a firewall.
cat >"$etc/libvirt/qemu/networks/default.xml" <<END
<network>
  <name>default</name>
  <forward mode='open'/>
  <bridge name='virbr0'/>
  <dns enable='no'/>
  <ip address='192.168.122.1' netmask='255.255.255.0'>
    <dhcp><range start='192.168.122.2' end='192.168.122.254'/></dhcp>
  </ip>
</network>
END
ln -s ../default.xml "$etc/libvirt/qemu/networks/autostart/default.xml"
echo 'firewall_backend = "none"' >"$etc/libvirt/network.conf"
cat >"$etc/libvirt/qemu.conf" <<END
security_driver = "none"
namespaces = []
cgroup_controllers = []
remember_owner = 0
END
cat >"$etc/libvirt/libvirtd.conf" <<END
auth_unix_ro = "none"
auth_unix_rw = "none"
END

# For tests that start an engine of their own.
printf '#!/bin/sh\nexec %q %q dockerd "$@"\n' "$here/enter.sh" "$root" >"$run/bin/dockerd"
chmod 755 "$run/bin/dockerd"
export PATH=$run/bin:$PATH
export DOCKER_HOST=unix://$root/run/docker.sock
export PROA_LIBVIRT_URI="qemu+unix:///system?socket=$root/run/libvirt/libvirt-sock"

docker_answers() { curl -fs --max-time 3 --unix-socket "${DOCKER_HOST#unix://}" http://localhost/_ping >/dev/null; }
libvirt_listens() { [[ -S $root/run/libvirt/libvirt-sock ]]; }
started() {
    await "$2" && return
    tail -n 15 "$run/log/$1" >&2
    die "$1 does not start (its last words are above)"
}

"$here/enter.sh" "$root" ip link set lo up
detached "$run/log/virtlogd" "$here/enter.sh" "$root" virtlogd
detached "$run/log/libvirtd" "$here/enter.sh" "$root" libvirtd
started libvirtd libvirt_listens
detached "$run/log/dockerd" "$here/enter.sh" "$root" dockerd
dockerd=$daemon
started dockerd docker_answers

status=0
"$@" || status=$?

# Containers end with their engine, and with them their control groups. All else is killed when
# this first process of the namespace ends.
kill "$dockerd"
timeout 60 tail --pid="$dockerd" -f /dev/null || true
exit $status
