#!/usr/bin/env bash
# Ensure that the clone's .venv has what this version needs.
#
#   environment.sh        the daemon, the client and the commands
#   environment.sh --dev  the tools for development, too
#
# PYTHON names the interpreter. Without it, an existing environment keeps its interpreter, and a
# new one gets python3. The environment is recreated if the interpreter, the path of the clone,
# pyproject.toml or a pinned version has changed.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=deploy/packages.sh
. ./packages.sh
cd ..

readonly VENV=.venv
readonly PIP=("$VENV/bin/python" -m pip --quiet --disable-pip-version-check)

# Print the base interpreter of a command, which may belong to an environment itself.
interpreter() { "$1" -c 'import sys; print(sys._base_executable)' 2>/dev/null; }

# Print a digest of everything that a new environment of `python` depends on.
wanted() {
    {
        "$python" -c 'import sys; print(sys.base_prefix, sys.version)'
        pwd -P
        cat pyproject.toml constraints.txt protos/generators/*.txt
    } | sha256sum
}

# complete STAMP: succeed if that part of the environment is up to date
complete() { [[ $(cat "$VENV/$1" 2>/dev/null) == "$(wanted)" ]]; }

make_environment() {
    PYTHON=$python deploy/engines.sh --build-deps
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11, 2))' ||
        die "$python is $("$python" --version): Python 3.11.2 or newer is needed, make PYTHON=..."
    say "installing the packages into $VENV"
    "$python" -m venv --clear "$VENV"
    "${PIP[@]}" install --constraint constraints.txt --upgrade pip
    "${PIP[@]}" install --constraint constraints.txt --editable '.[server,cli]'
    wanted >"$VENV/.users"
}

add_tools() {
    say "adding the tools for development"
    "${PIP[@]}" install --constraint constraints.txt --group dev
    "$VENV/bin/python" protos/generators.py
    wanted >"$VENV/.developers"
}

python=${PYTHON:-}
if [[ -z $python ]]; then
    python=$(interpreter "$VENV/bin/python") || python=python3
fi
command -v "$python" >/dev/null || PYTHON=$python deploy/engines.sh --build-deps
named=$python
python=$(interpreter "$named") || die "$named does not run as a Python: make PYTHON=..."

complete .users || make_environment
case ${1:-} in
    "") ;;
    --dev) complete .developers || add_tools ;;
    *) die "usage: environment.sh [--dev]" ;;
esac
