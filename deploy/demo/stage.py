"""How the demo speaks, waits and fails, and the daemon that it is played on."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from proa import v1

# Wide where there is no terminal to ask, as in a log.
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120)


class Failed(Exception):  # noqa: N818 - reads better where it is raised
    """A step did not come out as told."""


def step(text: str) -> None:
    """Begin a step of the story."""
    console.print(f"\n[bold cyan]▸[/] [bold]{text}[/]")


def say(text: str) -> None:
    """Tell what came out."""
    console.print(f"  {text}", markup=False)


def check(condition: bool, otherwise: str) -> None:  # noqa: FBT001 - reads like assert
    """Go on only if `condition` holds."""
    if not condition:
        raise Failed(otherwise)


def wait_for(what: str, seconds: float, condition: Callable[[], bool]) -> float:
    """Wait until `condition` holds and return how long it took."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        if condition():
            return time.monotonic() - started
        time.sleep(0.1)
    raise Failed(f"waited {seconds:g} s in vain for {what}")


def state_name(resource: v1.Resource) -> str:
    """Return the state without its prefix."""
    return v1.ResourceState.Name(resource.state).removeprefix("RESOURCE_STATE_")


def expect(resource: v1.Resource, state: str) -> None:
    """Say the state of a resource, and fail if it is another one."""
    say(f"{resource.name} is {state_name(resource)}")
    check(state_name(resource) == state, f"{resource.name} should be {state}")


def show(resources: list[v1.Resource]) -> None:
    """Print resources as a table."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for heading in ("KIND", "NAME", "STATE", "ID", "LEGAL NOW"):
        table.add_column(heading)
    for r in resources:
        verbs = " ".join(
            v1.Verb.Name(verb).removeprefix("VERB_").lower() for verb in r.allowed_verbs
        )
        kind = v1.ResourceKind.Name(r.kind).removeprefix("RESOURCE_KIND_").lower()
        table.add_row(kind, r.name, state_name(r), r.id[:13], verbs)
    console.print(table)


@contextmanager
def daemon(
    home: Path, passwords: dict[str, tuple[str, list[str]]], *, media_dir: Path
) -> Iterator[str]:
    """Run a daemon with these users and media, and yield its address."""
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
