"""The demo's own daemon."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from report import console, say


@contextmanager
def daemon(
    home: Path, passwords: dict[str, tuple[str, list[str]]], *, media_dir: Path
) -> Iterator[str]:
    """Run a daemon with these users and media, and yield its address.

    Args:
        home: the folder for its state and log.
        passwords: password and scopes by user name.
        media_dir: the folder of installation media.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    # The small guest boots in seconds under emulation, on hosts with and without KVM.
    environment = os.environ | {
        "PROA_STATE_DIR": str(home / "state"),
        "PROA_LISTEN": address,
        "PROA_VIRT_TYPE": "qemu",
        "PROA_MEDIA_DIRS": str(media_dir),
        "PROA_LOG_FORMAT": "json",
    }
    proad = str(Path(sys.executable).with_name("proad"))
    for name, (password, scopes) in passwords.items():
        options = [option for scope in scopes for option in ("--scope", scope)]
        subprocess.run(
            [proad, "user", "add", name, *options, "--password-stdin"],
            input=password,
            text=True,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        say(f"proad user add {name} {' '.join(options)} --password-stdin")
    log = home / "proad.log"
    with log.open("w") as sink:
        process = subprocess.Popen([proad, "serve"], env=environment, stderr=sink)
    say(f"proad serve        (on {address}, log {log})")
    try:
        yield address
    except BaseException:
        console.print(f"\n{log.read_text()[-2000:]}", style="dim", markup=False)
        raise
    finally:
        process.terminate()
        process.wait(timeout=40)
