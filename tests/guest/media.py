"""The media that the scripts of this folder build, for the tests that use them."""

import subprocess
from pathlib import Path

_HERE = Path(__file__).parent
_BUILD = _HERE.parents[1] / "build"


def build_guest() -> None:
    """Build the guest's media, unless they are there."""
    subprocess.run([_HERE / "build_guest.sh"], check=True, timeout=600)


def medium(name: str) -> Path:
    """Return the path of one of the guest's media, in a folder that QEMU's user may read."""
    return (_BUILD / "guest").resolve(strict=True) / name


def import_image(url: str = "") -> None:
    """Import the tests' container image, unless an engine has it (by default `DOCKER_HOST`)."""
    subprocess.run([_HERE / "build_image.sh", *filter(None, [url])], check=True, timeout=120)


def image_archive() -> Path:
    """Return the path of the file system that the image is made of."""
    return _BUILD / "busybox.tar"
