#!/usr/bin/env bash
# Ensure that the programs of Docker, libvirt and QEMU of a Debian suite lie in a folder, as a tree
# that a program can have for its root, and print the path of that folder.
#
#   tree.sh SUITE    such as bookworm, trixie or sid
#
# Nothing is installed: apt, with a state of its own, finds and fetches the packages from the
# mirror that this machine is configured with, and they are unpacked. All clones of a user share
# the trees, in a folder that others cannot write to. A tree is made anew after a month, and one
# of sid, which changes every day, after a week.
set -euo pipefail
umask 022
PATH=$PATH:/usr/sbin:/sbin
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/packages.sh
. "$here/../packages.sh"

readonly PACKAGES=(
    base-files base-passwd bash coreutils dash grep iproute2 kmod libc-bin mount procps sed # for the tree itself
    docker.io iptables
    libvirt-daemon-system libvirt-daemon-driver-qemu qemu-system-x86 qemu-utils ovmf dnsmasq-base
)
readonly KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
# Of one download, and of all: a mirror that hangs must not hang those who wait for it.
readonly SILENCE=30 LIMIT=600

suite=${1:?usage: tree.sh SUITE}
[[ $suite =~ ^[a-z]+$ ]] || die "$suite: no name of a Debian suite"
[[ $suite == sid ]] && days=7 || days=30
stamp=$({ cat "$0"; echo $(($(date +%s) / 86400 / days)); } | sha256sum)
cache=/var/tmp/proa-engines-$EUID
tree=$cache/$suite-${stamp:0:16}

# Others may write in /var/tmp: what they put there is not used.
mkdir -m 755 "$cache" 2>/dev/null || true
[[ -d $cache && ! -L $cache && -O $cache && $(stat -c %a "$cache") == 755 ]] ||
    die "$cache must be a folder of yours with mode 755; see whose it is and remove it"

# One at a time; the others wait, and find the tree.
exec {lock}>"$cache/$suite.lock"
flock -w $((LIMIT + 60)) "$lock" || die "another run has been making the tree of $suite for too long"

if [[ -d $tree ]]; then
    touch "$tree"
    echo "$tree"
    exit
fi

# Debian's own repository, without those for security and updates.
mirror() {
    apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
        sed -n 's/^Debian //p' | head -n 1
}

command -v apt-get >/dev/null && [[ $(dpkg --print-architecture) == amd64 ]] ||
    die "other generations of engines are fetched on Debian amd64 only"
mirror=$(mirror)
# The label is in apt's lists, which may be missing.
if [[ -z $mirror ]] && may_install; then
    apt-get update -q >/dev/null
    mirror=$(mirror)
fi
[[ -n $mirror ]] || die "apt is configured with no mirror of Debian, or knows none before apt-get update"
[[ -f $KEYRING ]] || apt_install debian-archive-keyring

work=$(mktemp -d -p "$cache" --suffix=".$suite")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists,archives}/partial "$work/tree"
: >"$work/status"
echo "deb [signed-by=$KEYRING] $mirror $suite main" >"$work/sources.list"
cat >"$work/apt.conf" <<END
Dir::State::lists "$work/lists";
Dir::State::status "$work/status";
Dir::State::extended_states "$work/extended_states";
Dir::Cache "$work";
Dir::Cache::archives "$work/archives";
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
APT::Get::Assume-Yes "true";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "$SILENCE";
Acquire::https::Timeout "$SILENCE";
END
fetch() {
    APT_CONFIG=$work/apt.conf timeout --foreground "$LIMIT" apt-get -q "$@" >>"$work/log" 2>&1 </dev/null || {
        tail -n 15 "$work/log" >&2
        die "could not fetch the packages of $suite (apt-get's last words are above)"
    }
}
warn "fetching the engines of $suite"
fetch --error-on=any update
fetch --download-only install "${PACKAGES[@]}"

# Packages may name these folders by either path.
mkdir -p "$work"/tree/{run,usr/bin,usr/lib,usr/lib64,usr/sbin,var}
for name in bin lib lib64 sbin; do ln -s "usr/$name" "$work/tree/$name"; done
ln -s ../run "$work/tree/var/run"
for package in "$work"/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" |
        tar -x -C "$work/tree" --keep-directory-symlink --numeric-owner --preserve-permissions
done
mkdir -p "$work"/tree/{dev,mnt,proc,sys,tmp,var/tmp}
chroot "$work/tree" /usr/sbin/ldconfig
mv "$work/tree" "$tree"
# What nobody has used for a while, and nobody uses now.
find "$cache" -mindepth 1 -maxdepth 1 -type d -name "$suite-*" -mtime +7 ! -path "$tree" -print0 |
    while IFS= read -r -d '' old; do flock -n "$old" rm -rf --one-file-system "$old" || true; done
echo "$tree"
