#!/usr/bin/env bash
# Run the tests of the drivers on other generations of engines, and report what passed on which.
#
#   generations.sh [--contract] SUITE...    such as bookworm, trixie and sid
#
# A generation is the Docker Engine, libvirt and QEMU of a Debian suite. The tests are the contract
# suites and, without --contract, the provocations of refusals and all integration tests of docker.
# What fails on sid, which changes every day, is reported and no failure of this script.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=deploy/packages.sh
. ./packages.sh
# Beside the engines there is no network to install anything from.
./test-services.sh
../tests/guest/build_guest.sh
cd ..

readonly CONTRACT=(tests/contract/test_docker.py tests/contract/test_libvirt_qemu.py)
readonly INTEGRATION=(tests/integration/docker tests/integration/libvirt/test_refusals.py)

paths=("${CONTRACT[@]}" "${INTEGRATION[@]}")
if [[ ${1:-} == --contract ]]; then
    paths=("${CONTRACT[@]}")
    shift
fi
(($#)) || die "usage: generations.sh [--contract] SUITE..."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Run the tests beside the engines of `run.sh`, where nothing may be skipped.
# shellcheck disable=SC2016  # for the inner shell
readonly TESTS='.venv/bin/python deploy/generations/versions.py | tee "$0/versions" &&
    PROA_REQUIRE_ENGINES=1 .venv/bin/pytest --quiet --numprocesses "$1" --dist loadscope \
        -p no:cacheprovider "${@:2}"'
# Print how many tests passed, failed and so on, in pytest's own words.
result() { sed -n 's/^=* *\([0-9].* in [0-9.]*s\).*/\1/p' "$1" | tail -n 1; }

status=0
for suite in "$@"; do
    mkdir "$work/$suite"
    say "the generation $suite"
    if deploy/generations/run.sh "$suite" \
        bash -c "$TESTS" "$work/$suite" "${JOBS:-3}" "${paths[@]}" | tee "$work/$suite/log"; then
        outcome=passed
    elif [[ $suite == sid ]]; then
        outcome="failed, which blocks nothing"
    else
        outcome=failed
        status=1
    fi
    echo "$suite $outcome" >>"$work/report"
    sed 's/^/    /' "$work/$suite/versions" >>"$work/report" 2>/dev/null || echo "    its engines did not start" >>"$work/report"
    echo "    $(result "$work/$suite/log")" >>"$work/report"
done
echo
cat "$work/report"
exit $status
