#!/usr/bin/env bash
# Sees to it that the clone's .venv has what this version of it needs.
#
#   environment.sh        the daemon, the client and the commands, as users need them
#   environment.sh --dev  besides, what checking, testing and generating take
#
# PYTHON names the interpreter. Without it an environment keeps the one that it has, and
# a new one gets python3. The environment is made anew when the interpreter, the clone's
# place, pyproject.toml or constraints.txt is another than the one that it was made with.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=deploy/packages.sh
. ./packages.sh
cd ..

readonly VENV=.venv
readonly PIP=("$VENV/bin/python" -m pip --quiet --disable-pip-version-check)

# Print the interpreter behind a command, which may itself be of an environment.
interpreter() { "$1" -c 'import sys; print(sys._base_executable)' 2>/dev/null; }

# Print what an environment made now by `python` depends on, as one digest.
wanted() {
    {
        "$python" -c 'import sys; print(sys.base_prefix, sys.version)'
        pwd -P
        cat pyproject.toml constraints.txt
    } | sha256sum
}

# complete STAMP: whether that part of the environment was made with what is here now
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
