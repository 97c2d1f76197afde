"""What runs in the containers of these tests, and a way to wait."""

from typing import Any, Protocol

from proad.model import ContainerSpec, Resource

IMAGE = "proa-test/busybox:1"
LABEL = "proa-test"

# Process 1 gets no signal that it has no handler for.
DEAF = ("sleep", "3600")
OBEDIENT = ("sh", "-c", 'trap "exit 0" TERM; echo ready; sleep 3600 & wait')
SLOW = ("sh", "-c", 'trap "sleep 3; exit 0" TERM; echo ready; sleep 3600 & wait')


class Make(Protocol):
    """Makes a container that goes away at the end of the test."""

    async def __call__(self, *command: str, start: bool = True, **fields: Any) -> Resource: ...

    def spec(self, *command: str, **fields: Any) -> ContainerSpec: ...
