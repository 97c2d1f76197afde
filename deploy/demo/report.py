"""Output, checks and waits of the demo."""

import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from proa import v1

# A fixed width where the output is no terminal, such as a log.
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120)


class Failed(Exception):  # noqa: N818 - reads better where it is raised
    """A step did not have the expected outcome."""


def step(text: str) -> None:
    """Print the heading of a step."""
    console.print(f"\n[bold cyan]▸[/] [bold]{text}[/]")


def say(text: str) -> None:
    """Print an outcome."""
    console.print(f"  {text}", markup=False)


def check(condition: bool, otherwise: str) -> None:  # noqa: FBT001 - reads like assert
    """Raise Failed unless `condition` holds."""
    if not condition:
        raise Failed(otherwise)


def wait_for(what: str, seconds: float, condition: Callable[[], bool]) -> float:
    """Wait until `condition` holds, and return the seconds that passed."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        if condition():
            return time.monotonic() - started
        time.sleep(0.1)
    raise Failed(f"waited {seconds:g} s in vain for {what}")


def state_name(resource: v1.Resource) -> str:
    """Return the name of the state without its prefix."""
    return v1.ResourceState.Name(resource.state).removeprefix("RESOURCE_STATE_")


def expect(resource: v1.Resource, state: str) -> None:
    """Print the state of a resource, and raise Failed if it is not the expected one."""
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
