#!/usr/bin/env bash
# Ensure that the engines answer, and build the workloads of the demo and the tests: the container
# image and the guest. Fails at the end if anything is missing.
set -euo pipefail
cd "$(dirname "$0")"

status=0
./engines.sh || status=1
if ./engines.sh --answers docker; then ../tests/guest/build_image.sh || status=1; fi
if ./engines.sh --answers libvirt; then ../tests/guest/build_guest.sh || status=1; fi
exit $status
