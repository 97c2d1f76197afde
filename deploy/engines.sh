#!/usr/bin/env bash
# Ensure that a Docker Engine and libvirt with QEMU answer on this host.
#
#   engines.sh               use the engines that answer; on Debian and Ubuntu, as
#                            root, install and start the others
#   engines.sh --check       change nothing; exit 0 if both answer
#   engines.sh --answers ENGINE
#                            print nothing; exit 0 if docker or libvirt answers
#   engines.sh --build-deps  install only the build dependencies of libvirt-python
#                            (PYTHON names the interpreter, default python3)
#
# The engines are expected at DOCKER_HOST (default: the usual socket) and qemu:///system. With
# systemd, the script starts its units, otherwise the daemons themselves, detached from the
# caller. Safe to run at any time, also after the daemons were killed.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
cd "$(dirname "$0")"
# shellcheck source=deploy/packages.sh
. ./packages.sh
# shellcheck source=deploy/daemons.sh
. ./daemons.sh

readonly DOCKER_SOCKET=unix:///var/run/docker.sock LIBVIRT_URI=qemu:///system
readonly DOCKER_PACKAGES=(docker.io iptables curl)
readonly LIBVIRT_PACKAGES=(libvirt-daemon-system libvirt-clients
    libvirt-daemon-driver-qemu qemu-system-x86 qemu-utils ovmf dnsmasq-base tini)
readonly BUILD_PACKAGES=(libvirt-dev pkg-config gcc libc6-dev python3-dev python3-venv)

systemd_runs() { [[ -d /run/systemd/system ]]; }

# Ask the engine itself: a socket file or a docker command may be left over.
ask_docker() {
    case ${DOCKER_HOST:=$DOCKER_SOCKET} in
        unix://*) curl -fsS --max-time 5 --unix-socket "${DOCKER_HOST#unix://}" \
            http://localhost/_ping ;;
        *) timeout 10 docker version ;;
    esac
}

ask_libvirt() { timeout 20 virsh -q -c $LIBVIRT_URI version </dev/null; }

docker_answers() { ask_docker >/dev/null 2>&1; }
libvirt_answers() { ask_libvirt >/dev/null 2>&1; }

start_docker() {
    if systemd_runs; then
        systemctl start docker
    else
        start_dockerd_by_hand
    fi
    await docker_answers || gave_up "Docker Engine" docker "$DOCKER_LOG"
}

# Without virtlogd, libvirt answers but cannot start a domain.
start_virtlogd() {
    [[ $EUID -eq 0 ]] && ! systemd_runs && command -v virtlogd >/dev/null || return 0
    start_virtlogd_by_hand
}

start_libvirt() {
    if systemd_runs; then
        systemctl start libvirtd
    else
        start_virtlogd
        start_libvirtd_by_hand
    fi
    await libvirt_answers || gave_up libvirt libvirtd "$LIBVIRT_LOG"
}

start_default_network() {
    local info
    info=$(virsh -q -c $LIBVIRT_URI net-info default 2>/dev/null) || return 0
    grep -q '^Active: *no' <<<"$info" || return 0
    if virsh -q -c $LIBVIRT_URI net-start default >/dev/null; then
        say "started libvirt's network 'default'"
    else
        warn "warning: libvirt's network 'default' does not start (is its bridge or" \
            "subnet in use elsewhere?), nor will domains on it"
    fi
}

# gave_up ENGINE UNIT LOG
gave_up() {
    systemd_runs || tail -n 5 "$3" >&2
    die "$1 does not answer; see $(systemd_runs && echo "journalctl -u $2" || echo "$3")"
}

# how_to ENGINE GROUP ASK WORDS
how_to() {
    local answer runs="join the group $2 and log in anew"
    # libvirt authorizes users by polkit; without a system bus only root has access.
    [[ " $(id -nG) " != *" $2 "* ]] || runs="see its log: you are in the group $2"
    answer=$("$3" 2>&1 >/dev/null) || true
    [[ $answer != *"system bus"* ]] || runs="have root start the system bus and polkit (dbus, polkitd)"
    warn "$1 does not answer (${answer##*$'\n'}). If it runs, $runs." \
        "If not: $4; on Debian or Ubuntu this script does it as root."
}

engines() {
    local check_only=$1 failed=0
    if docker_answers; then
        say "Docker Engine answers at $DOCKER_HOST"
    elif [[ $DOCKER_HOST != "$DOCKER_SOCKET" ]]; then
        warn "DOCKER_HOST, $DOCKER_HOST, does not answer: start that engine or unset it"
        failed=1
    elif $check_only || ! may_install; then
        how_to "Docker Engine" docker ask_docker "install ${DOCKER_PACKAGES[*]} and start dockerd"
        failed=1
    else
        apt_install "${DOCKER_PACKAGES[@]}"
        docker_answers || start_docker
        say "Docker Engine started, answers at $DOCKER_HOST"
    fi

    $check_only || start_virtlogd
    if libvirt_answers; then
        say "libvirt answers at $LIBVIRT_URI"
    elif $check_only || ! may_install; then
        how_to libvirt libvirt ask_libvirt "install ${LIBVIRT_PACKAGES[*]} and start virtlogd and libvirtd"
        failed=1
    else
        apt_install "${LIBVIRT_PACKAGES[@]}"
        libvirt_answers || start_libvirt
        say "libvirt started, answers at $LIBVIRT_URI"
    fi
    $check_only || ((failed)) || start_default_network
    return $failed
}

can_build() {
    local has_headers='import ensurepip, os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'
    pkg-config --exists libvirt && command -v gcc && "${PYTHON:-python3}" -c "$has_headers"
} >/dev/null 2>&1

build_deps() {
    if can_build; then return 0; fi
    # The packages contain python3 alone.
    [[ ${PYTHON:-python3} == *python3 ]] || command -v "$PYTHON" >/dev/null ||
        die "there is no command $PYTHON: make PYTHON=... names an interpreter"
    apt_install "${BUILD_PACKAGES[@]}"
    can_build || die "${PYTHON:-python3} lacks its module ensurepip or its header Python.h:" \
        "install them from where it came"
}

case ${1:-} in
    "") engines false ;;
    --check) engines true ;;
    --answers) "${2:?docker or libvirt}_answers" ;;
    --build-deps) build_deps ;;
    *) die "usage: engines.sh [--check | --answers ENGINE | --build-deps]" ;;
esac
