#!/usr/bin/env bash
# Install what builds the programs in other languages (tests/stubs), as far as Debian's packages are
# new enough: protoc, and the toolchains of C++ and Java. Those of Go, Rust and TypeScript come from
# where their users get them; the script names those that are missing. Does nothing if all are
# installed.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=deploy/packages.sh
. ./packages.sh

readonly PROTOC_PACKAGES=(protobuf-compiler libprotobuf-dev)
readonly CPP_PACKAGES=(g++ make cmake pkg-config libgrpc++-dev protobuf-compiler-grpc)
readonly JAVA_PACKAGES=(default-jdk-headless maven)

has() { command -v "$@" >/dev/null; }

apt_install "${PROTOC_PACKAGES[@]}" "${CPP_PACKAGES[@]}"
# A JDK and Maven from elsewhere do as well.
{ has javac && has mvn; } || apt_install "${JAVA_PACKAGES[@]}"

lacking=()
has go || lacking+=("Go 1.25 or newer")
has cargo || lacking+=("Rust 1.88 or newer with Cargo")
has npm || lacking+=("Node.js 20 or newer with npm")
for toolchain in "${lacking[@]}"; do
    warn "missing: $toolchain, newer than Debian's; its program in tests/stubs is not tested"
done
((${#lacking[@]} == 0))
