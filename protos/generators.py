"""The generators of the Python stubs: compilers as old as the oldest runtime of the client.

A stub refuses to run with a protobuf or a grpcio older than its generator. The client promises
old ones, so that both generators are older than the grpcio-tools of the environment. Each is
installed without its dependencies, which a compiler does not need, into a folder of its own.

    python protos/generators.py     installs what is missing, as generate.py does, too
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

PINS = Path(__file__).parent / "generators"
ROOT = Path(sys.prefix) / "generators"

MESSAGES = "messages"
"""Generator of messages. Its version is the floor of protobuf: grpcio-tools 1.72 for 6.30."""

SERVICES = "services"
"""Generator of services. Its version is the floor of grpcio."""


def installed(generator: str) -> Path:
    """Return the folder of a generator to put into PYTHONPATH; install it if it is missing."""
    pins = PINS / f"{generator}.txt"
    [pin] = pins.read_text().split()
    folder = ROOT / pin
    if not folder.exists():
        ROOT.mkdir(exist_ok=True)
        # Another process may install the same one: the folder appears at once and complete.
        with tempfile.TemporaryDirectory(dir=ROOT) as scratch:
            _install(pins, Path(scratch) / pin)
            try:
                (Path(scratch) / pin).rename(folder)
            except OSError:
                if not folder.exists():
                    raise
    return folder


def _install(pins: Path, target: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    command = [*pip, "install", "--no-deps", "--target", str(target), "--requirement", str(pins)]
    subprocess.run(command, check=True)


def run(generator: str, *arguments: str) -> None:
    """Run protoc of a generator; exit with its status if it fails."""
    main = "import sys; from grpc_tools import protoc; sys.exit(protoc.main(sys.argv))"
    command = [sys.executable, "-c", main, *arguments]
    path = {"PYTHONPATH": str(installed(generator))}
    status = subprocess.run(command, check=False, env={**os.environ, **path}).returncode
    if status != 0:
        sys.exit(status)


def includes(generator: str) -> Path:
    """Return the folder of the .proto files that a generator brings."""
    return installed(generator) / "grpc_tools/_proto"


if __name__ == "__main__":
    for each in (MESSAGES, SERVICES):
        installed(each)
