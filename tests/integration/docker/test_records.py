"""Records of containers on real engines: owner, protection, changed labels."""

import asyncio
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import docker
import pytest
from docker.errors import NotFound

from eventually import eventually
from integration.core_harness import CoreHarness
from integration.docker.archives import archive
from integration.docker.private_engine import PrivateEngine
from integration.docker.workloads import DEAF, IMAGE, LABEL, Make
from proad.core.actor import act_for
from proad.core.inventory import RecordCache
from proad.core.inventory.timing import RecordTiming
from proad.drivers.docker import DockerDriver
from proad.errors import DeletionProtectedError
from proad.model import (
    ContainerSpec,
    DeleteOptions,
    NetworkAttachment,
    PruneFilter,
    Resource,
    ResourceView,
    Subject,
)
from proad.model.scope import Scope
from proad.store.database import Database
from proad.store.owners import OwnerStore
from proad.store.resources import ResourceStore
from proad.store.users import User, UserStore
from updating import container_update

pytestmark = pytest.mark.docker

FORCE = DeleteOptions(force=True)
WITHIN = 90.0


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/state.sqlite"


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with Database.open(url) as database:
        yield database


@pytest.fixture
async def ann(database: Database) -> User:
    user = await UserStore(database).add("ann", "$2b$04$" + "x" * 53, list(Scope))
    act_for(Subject(user.name, user.id))
    return user


class Run(Protocol):
    def __call__(self, driver: DockerDriver) -> AbstractAsyncContextManager[CoreHarness]: ...


DAEMON = str(uuid4())


@pytest.fixture
def run(database: Database) -> Run:
    """Runs a core whose records are in the database; another one comes after a restart."""

    def core(driver: DockerDriver) -> AbstractAsyncContextManager[CoreHarness]:
        timing = RecordTiming(write_interval=0.01, names_interval=0.05)
        store = ResourceStore(database, DAEMON)
        return CoreHarness.of(driver, RecordCache(store, OwnerStore(database), timing))

    return core


async def rows(database: Database, driver: DockerDriver) -> dict[str, Any]:
    """Return the records of an engine by the ids of their containers."""
    store = ResourceStore(database, DAEMON)
    identity = await driver.identity()
    return {record.id: record async for some in store.batches(identity) for record in some}


def published(core: CoreHarness, id: str) -> Resource:
    entry = core.inventory.entry(core.connection, id)
    assert entry is not None
    return entry.published


async def test_records_of_a_container_hold_over_a_restart_of_the_daemon(
    driver: DockerDriver, make: Make, run: Run, ann: User
):
    spec = make.spec(*DEAF, labels={LABEL: "1", "pool": "free"}, deletion_protection=True)
    async with asyncio.timeout(WITHIN), run(driver) as core:
        made = (await core.provisioning.create_container(spec, start=True, host="")).resource
        assert (made.owner, made.deletion_protection) == (ann.name, True)
        labels = {LABEL: "1", "pool": "ann", "long": "x" * 65536}
        await core.lifecycle.update(made.id, container_update(labels=labels))
    async with asyncio.timeout(WITHIN), run(driver) as core:
        shown = published(core, made.id)
        assert (shown.owner, shown.deletion_protection) == (ann.name, True)
        assert shown.labels == labels
        assert (await core.inventory.full(core.connection, made.id)).labels == labels
        with pytest.raises(DeletionProtectedError):
            await core.lifecycle.delete(made.id, FORCE)
        await core.lifecycle.update(made.id, container_update(deletion_protection=False))
        await core.lifecycle.delete(made.id, FORCE)


async def test_record_ends_when_somebody_else_deletes_the_container(
    driver: DockerDriver,
    make: Make,
    raw: docker.APIClient,
    run: Run,
    ann: User,
    database: Database,
):
    async with asyncio.timeout(WITHIN), run(driver) as core:
        create = core.provisioning.create_container
        first = (await create(make.spec(), start=False, host="")).resource
        second = (await create(make.spec(), start=False, host="")).resource
        await eventually(lambda: _have(database, driver, {first.id, second.id}))
        await asyncio.to_thread(raw.remove_container, first.id)
        await core.wait_for(first.id, "gone")
        await eventually(lambda: _have(database, driver, {second.id}))
    await asyncio.to_thread(raw.remove_container, second.id)  # while no daemon runs
    async with asyncio.timeout(WITHIN), run(driver):
        await eventually(lambda: _have(database, driver, set()))
    assert ann


async def _have(database: Database, driver: DockerDriver, ids: set[str]) -> bool:
    return set(await rows(database, driver)) == ids


async def test_container_of_an_image_committed_from_a_protected_one_is_nobodys(
    driver: DockerDriver, make: Make, raw: docker.APIClient, run: Run, ann: User, token: str
):
    """The image hands down all labels, and so the mark of the create."""
    async with asyncio.timeout(WITHIN), run(driver) as core:
        spec = make.spec(deletion_protection=True)
        made = (await core.provisioning.create_container(spec, start=False, host="")).resource
        assert made.owner == ann.name
        image = await asyncio.to_thread(raw.commit, made.id, repository=token)
        try:
            heir = await asyncio.to_thread(
                raw.create_container, token, ["true"], name=f"{token}-heir", labels={LABEL: token}
            )
            await core.wait_for(heir["Id"], "STOPPED")
            shown = published(core, heir["Id"])
            assert (shown.owner, shown.deletion_protection) == ("", False)
            await core.lifecycle.delete(heir["Id"], FORCE)
        finally:
            await asyncio.to_thread(raw.remove_image, image["Id"], force=True)
        await core.lifecycle.update(made.id, container_update(deletion_protection=False))


async def test_container_of_a_daemon_killed_before_docker_answered_has_its_owner(
    driver: DockerDriver, run: Run, ann: User, url: str, token: str, raw: docker.APIClient
):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "integration.docker.dying_create"),
        *(url, DAEMON, ann.id, IMAGE, token),
        cwd=Path(__file__).parents[2],
    )
    try:
        assert await asyncio.wait_for(process.wait(), WITHIN) == -signal.SIGKILL
        async with asyncio.timeout(WITHIN), run(driver) as core:
            made = await core.lifecycle.get(token, ResourceView.SUMMARY)
            assert (made.owner, made.deletion_protection) == (ann.name, True)
    finally:
        with suppress(NotFound):
            await asyncio.to_thread(raw.remove_container, token, force=True)


async def test_prune_selects_by_changed_labels_and_passes_over_what_is_protected(
    driver: DockerDriver, make: Make, run: Run, ann: User, token: str, raw: docker.APIClient
):
    which = PruneFilter(labels={"proa-test-prune": token})
    async with asyncio.timeout(WITHIN), run(driver) as core:
        create = core.provisioning.create_container
        plain = (await create(make.spec(), start=False, host="")).resource
        safe = (await create(make.spec(), start=False, host="")).resource
        active = (await create(make.spec(*DEAF), start=True, host="")).resource
        hidden = (await create(make.spec(labels=dict(which.labels)), start=False, host="")).resource
        for each in (plain, safe, active):
            await core.lifecycle.update(each.id, container_update(labels=which.labels))
        await core.lifecycle.update(safe.id, container_update(deletion_protection=True))
        await core.lifecycle.update(hidden.id, container_update(labels={}))
        await asyncio.to_thread(raw.put_archive, plain.id, "/", archive(big=bytes(2**20)))

        pruned = await core.pruner.prune(which, host="")

        assert pruned.container_ids == (plain.id,)
        assert pruned.reclaimed_bytes >= 2**20
        assert core.changes_by_others(plain.id) == []
        left = {each.id for each in await driver.list_resources()}
        assert {safe.id, active.id, hidden.id} <= left
        assert (await core.pruner.prune(which, host="")).container_ids == ()
        await core.lifecycle.update(safe.id, container_update(deletion_protection=False))
    assert ann


async def test_prune_leaves_a_container_that_is_started_meanwhile(
    driver: DockerDriver, make: Make, run: Run, raw: docker.APIClient, token: str
):
    """The engine itself refuses to remove what runs: the daemon hears of a start too late."""
    which = PruneFilter(labels={"proa-test-prune": token})
    async with asyncio.timeout(WITHIN), run(driver) as core:
        made = (
            await core.provisioning.create_container(
                make.spec(*DEAF, labels=dict(which.labels)), start=False, host=""
            )
        ).resource
        size = driver.layer_size

        async def start_meanwhile(id: str) -> int:
            await asyncio.to_thread(raw.start, id)
            return await size(id)

        driver.layer_size = start_meanwhile  # type: ignore[method-assign]
        assert (await core.pruner.prune(which, host="")).container_ids == ()
        assert (await driver.get_resource(made.id)).state.value == "RUNNING"


async def test_records_of_an_engine_hold_while_another_answers_under_its_address(
    tmp_path_factory: pytest.TempPathFactory, run: Run, ann: User, database: Database
):
    """A dockerd with a new data root is another engine, and the first one comes back."""
    folder = tmp_path_factory.mktemp("engine")
    engine = PrivateEngine(folder)
    data, aside = folder / "data", folder / "aside"
    spec = ContainerSpec(image=IMAGE, name="web", networks=(NetworkAttachment(network="none"),))
    engine.start()
    try:
        async with DockerDriver(engine.url, timeout=timedelta(seconds=20)) as driver:
            await eventually(lambda: engine.answers(driver), within=WITHIN)
            await engine.import_image()
            identity = await driver.identity()
            async with asyncio.timeout(4 * WITHIN), run(driver) as core:
                created = await core.provisioning.create_container(spec, start=False, host="")
                id = created.resource.id
                await core.lifecycle.update(id, container_update(labels={"a": "1"}))

                engine.stop()
                data.rename(aside)
                engine.start()
                await eventually(lambda: _shows(core, id, there=False), within=WITHIN)
                assert await driver.identity() != identity
                assert await rows(database, driver) == {}

                engine.stop()
                shutil.rmtree(data)
                aside.rename(data)
                engine.start()
                await eventually(lambda: _shows(core, id), within=WITHIN)
                assert await driver.identity() == identity
                shown = published(core, id)
                assert (shown.owner, shown.labels) == (ann.name, {"a": "1"})
                assert set(await rows(database, driver)) == {id}
    finally:
        engine.stop()


def _shows(core: CoreHarness, id: str, *, there: bool = True) -> bool:
    connection = core.connection
    entry = core.inventory.entry(connection, id)
    return core.inventory.synced(connection) and (entry is not None) is there
