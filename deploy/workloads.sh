#!/usr/bin/env bash
# Sees to it that the engines answer and builds what the demo and the tests run on each:
# the container image, the guest. Fails if anything is missing, after doing the rest.
set -euo pipefail
cd "$(dirname "$0")"

status=0
./engines.sh || status=1
if ./engines.sh --answers docker; then ../tests/guest/build_image.sh || status=1; fi
if ./engines.sh --answers libvirt; then ../tests/guest/build_guest.sh || status=1; fi
exit $status
