#!/usr/bin/env bash
# Builds the small bootable guest of the tests and the demo from Debian packages, and
# points build/guest at it. The folder has vmlinuz, initrd and installer-like ISOs that
# boot them from cdrom:
#   guest.iso            guest agent, ACPI power button
#   guest-noagent.iso    power button only
#   guest-deadagent.iso  power button; the agent is connected but never answers
#   guest-deaf.iso       neither
# `init` says what the guest prints and offers. Wants 160 MiB; a qcow2 on vda and a
# network card are optional. Does nothing while the guest is as these scripts built it.
# Works as root or not; missing packages are installed as root only.
set -euo pipefail
umask 022
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/packages.sh
. "$here/../../deploy/packages.sh"

readonly FILES=(vmlinuz initrd guest.iso guest-noagent.iso guest-deadagent.iso guest-deaf.iso)
link=$here/../../build/guest
# QEMU runs as a user of its own, who may not enter the homes that clones are in. What is
# built lies where everybody may read and only its owner write, for all his clones.
cache=/var/tmp/proa-guest-$EUID
stamp=$(cat "$here"/{build_guest.sh,init,shutdown,udhcpc} | sha256sum)
guest=$cache/${stamp:0:16}

# Others may write in /var/tmp: what they put there is not used.
mkdir -m 755 "$cache" 2>/dev/null || true
[[ -d $cache && ! -L $cache && -O $cache && $(stat -c %a "$cache") == 755 ]] ||
    die "$cache must be a folder of yours with mode 755; see whose it is and remove it"

# One at a time; who had to wait finds it done.
exec {lock}<"$cache"
flock "$lock"

is_built() {
    local file
    for file in "${FILES[@]}"; do [[ -f $guest/$file ]] || return 1; done
}

point_at_it() {
    [[ $(readlink "$link") != "$guest" ]] || return 0
    mkdir -p "${link%/*}"
    rm -rf "$link"
    ln -s "$guest" "$link"
}

if is_built; then
    point_at_it
    exit 0
fi

# In this order; each needs those before it.
readonly MODULES=(virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev
    virtio_pci virtio_blk virtio_console evdev button virtio_balloon
    failover net_failover virtio_net)

[[ $(dpkg --print-architecture 2>/dev/null) == amd64 ]] ||
    die "the test guest is built on Debian amd64 only"
# qemu-utils brings most of the libraries of the guest agent.
apt_install busybox-static isolinux syslinux-common xorriso cpio xz-utils qemu-utils \
    libnuma1 libudev1

work=$(mktemp -d)
out=$(mktemp -d -p "$cache")
trap 'rm -rf "$work" "$out"' EXIT
root=$work/root
mkdir -p "$work"/{unpacked,iso} \
    "$root"/{bin,sbin,usr/bin,usr/sbin,dev,proc,sys,etc/acpi/PWRF,lib/modules}

kernel_package() { apt-cache depends linux-image-cloud-amd64 | sed -n 's/ *Depends: //p'; }
# Without apt's lists the first answer is empty.
if [[ -z $(kernel_package 2>/dev/null) ]]; then
    may_install || die "apt knows no kernel: run apt-get update as root"
    apt-get update -q >/dev/null
fi
unpack "$work/unpacked" "$(kernel_package)" qemu-guest-agent
cp "$work"/unpacked/boot/vmlinuz-* "$work/iso/vmlinuz"

for module in "${MODULES[@]}"; do
    file=$(find "$work/unpacked/lib/modules" -name "$module.ko*" -print -quit)
    [[ -n $file ]] || die "the kernel has no module $module"
    cp "$file" "$root/lib/modules/"
done
find "$root/lib/modules" -name '*.xz' -exec unxz {} +
printf '%s\n' "${MODULES[@]}" >"$root/lib/modules/order"

cp /bin/busybox "$root/bin/busybox"
/bin/busybox --list-full | while read -r applet; do
    [[ $applet == bin/busybox ]] || ln -sf /bin/busybox "$root/$applet"
done
install -m 755 "$here/init" "$root/init"
install -m 755 "$here/shutdown" "$root/sbin/shutdown"
install -m 755 "$here/udhcpc" "$root/etc/udhcpc"
# acpid runs this for the power button.
printf '#!/bin/sh\nexec poweroff -f\n' >"$root/etc/acpi/PWRF/00000080"
chmod 755 "$root/etc/acpi/PWRF/00000080"

# For proa.login=on; the password is "secret".
printf '%s\n' root:x:0:0:root:/:/bin/sh ann:x:1000:1000:Ann:/:/bin/sh >"$root/etc/passwd"
printf '%s\n' root:x:0: ann:x:1000: >"$root/etc/group"
# shellcheck disable=SC2016  # no expansion is wanted
printf '%s\n' 'root:*:1::::::' \
    'ann:$6$proaproa$/AowK4hfyi7PoCQA7D1PD7MdOhk5jQvZB6Z5hxl7fDW5baoFmoRtQGtf/5D9EEcvNWjRuj64MeZhlZQszhM5I0:1::::::' \
    >"$root/etc/shadow"

agent=$work/unpacked/usr/sbin/qemu-ga
install -m 755 "$agent" "$root/usr/sbin/qemu-ga"
libraries=$(ldd "$agent")
[[ $libraries != *"not found"* ]] || die "the guest agent lacks a library: $libraries"
grep -o '/[^ ]*' <<<"$libraries" | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done

(cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) | gzip -9n >"$work/iso/initrd"
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$work/iso/"

# The kernel's self-tests of its ciphers are a third of its boot time under emulation, and its check of
# the timer fails where a busy host lets the emulation wait.
make_iso() {
    cat >"$work/iso/isolinux.cfg" <<END
DEFAULT guest
PROMPT 0
TIMEOUT 0
LABEL guest
  KERNEL vmlinuz
  APPEND initrd=initrd console=tty0 console=ttyS0 quiet panic=1 cryptomgr.notests no_timer_check $2
END
    xorriso -as mkisofs -quiet -V PROA_GUEST -J -R -b isolinux.bin -c boot.cat -no-emul-boot \
        -boot-load-size 4 -boot-info-table -o "$out/$1" "$work/iso" 2>"$work/xorriso.log" ||
        die "xorriso failed: $(<"$work/xorriso.log")"
}
make_iso guest.iso "proa.agent=on proa.acpi=on"
make_iso guest-noagent.iso "proa.agent=off proa.acpi=on"
make_iso guest-deadagent.iso "proa.agent=dead proa.acpi=on"
make_iso guest-deaf.iso "proa.agent=off proa.acpi=off"
cp "$work/iso/vmlinuz" "$work/iso/initrd" "$out/"
chmod 755 "$out"
rm -rf "$guest"
mv "$out" "$guest"
find "$cache" -mindepth 1 -maxdepth 1 -mtime +30 ! -path "$guest" -exec rm -rf {} +
point_at_it
say "built the test guest in $guest"
