"""Commands of the test containers, and helpers to create and to ask them."""

import asyncio
from pathlib import Path
from typing import Any, Protocol

import docker

from proad.model import ContainerSpec, Resource

IMAGE = "proa-test/busybox:1"
LABEL = "proa-test"

# The kernel delivers to process 1 only signals that it has a handler for.
DEAF = ("sleep", "3600")
OBEDIENT = ("sh", "-c", 'trap "exit 0" TERM; echo ready; sleep 3600 & wait')
SLOW = ("sh", "-c", 'trap "sleep 3; exit 0" TERM; echo ready; sleep 3600 & wait')


async def runs_its_command(container: Resource) -> bool:
    """Return whether a container is past the runtime's own process, which any signal ends."""
    assert container.container is not None
    try:
        name = Path(f"/proc/{container.container.pid}/comm").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it is not started, or has ended
        return True
    return not name.startswith("runc")


class Make(Protocol):
    """Creates containers and deletes them at the end of the test."""

    async def __call__(self, *command: str, start: bool = True, **fields: Any) -> Resource: ...

    def spec(self, *command: str, **fields: Any) -> ContainerSpec: ...


async def says(raw: docker.APIClient, container: Resource, *command: str) -> str:
    """Run a command in a container and return its output."""

    def run() -> str:
        made = raw.exec_create(container.id, list(command))
        return raw.exec_start(made["Id"]).decode().strip()

    return await asyncio.to_thread(run)
