"""A process that creates a container as a user, and is killed as soon as Docker has made it.

python -m integration.docker.dying_create DATABASE_URL DAEMON_ID USER_ID IMAGE NAME
"""

import asyncio
import os
import signal
import sys
from typing import Any

from integration.core_harness import CoreHarness
from proad.core.actor import act_for
from proad.core.inventory import RecordCache
from proad.drivers.docker import DockerDriver
from proad.drivers.docker.http.engine_client import EngineClient
from proad.model import ContainerSpec, Subject
from proad.store.database import Database
from proad.store.owners import OwnerStore
from proad.store.resources import ResourceStore


class DyingClient(EngineClient):
    """Dies between Docker's answer to a create and whoever waits for the answer."""

    async def post(self, path: str, **others: Any) -> Any:
        answer = await super().post(path, **others)
        if path == "/containers/create":
            os.kill(os.getpid(), signal.SIGKILL)
        return answer


async def main(url: str, daemon_id: str, user_id: str, image: str, name: str) -> None:
    act_for(Subject("ann", user_id))
    async with Database.open(url) as database, DockerDriver() as driver:
        records = RecordCache(ResourceStore(database, daemon_id), OwnerStore(database))
        driver._engine.__class__ = DyingClient
        async with CoreHarness.of(driver, records) as core:
            spec = ContainerSpec(image=image, name=name, deletion_protection=True)
            await core.provisioning.create_container(spec, start=True, host="")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
