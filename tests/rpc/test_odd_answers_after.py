"""A change that is done is no failure, though the engine's next answer cannot be read."""

from typing import Any
from uuid import uuid4

import pytest

from eventually import eventually
from proad.drivers.memory import MemoryDriver
from proad.errors import EngineConflictError
from rpc.daemon import IMAGE, changing
from rpc.held import shown


class Odd(MemoryDriver):
    """Answers the first read after a change oddly."""

    def __init__(self):
        super().__init__()
        self.odd_reads = 0

    async def create_container(self, *args, **options):
        made = await super().create_container(*args, **options)
        self.odd_reads = 1
        return made

    async def recreate_container(self, *args, **options):
        made = await super().recreate_container(*args, **options)
        self.odd_reads = 1
        return made

    async def update(self, *args, **options):
        updated = await super().update(*args, **options)
        self.odd_reads = 1
        return updated

    async def create_snapshot(self, *args, **options):
        taken = await super().create_snapshot(*args, **options)
        self.odd_reads = 1
        return taken

    async def get_resource(self, *args, **options):
        if self.odd_reads:
            self.odd_reads -= 1
            raise EngineConflictError("memory", "an answer that nobody can read")
        return await super().get_resource(*args, **options)


CHANGES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "CreateContainer": ({"spec": {"image": IMAGE, "name": "new"}, "start": True}, {"new", "vm"}),
    "RecreateContainer": ({"id": "web"}, {"web", "vm"}),
    "UpdateResource": ({"id": "web", **changing("container", name="new")}, {"new", "vm"}),
    "CreateSnapshot": ({"id": "vm"}, {"web", "vm"}),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_change_that_is_done_succeeds_though_the_next_read_fails(serve, name):
    daemon = await serve(("local", Odd()))
    await daemon.container("web")
    await daemon.domain("vm")
    request, names = CHANGES[name]
    id = str(uuid4())

    await daemon.call(name, request_id=id, **request)

    assert not (await shown(daemon, id)).HasField("failure")

    async def listed():
        return names <= set(await daemon.names())

    await eventually(listed)
