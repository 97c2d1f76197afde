"""Records of domains on a real libvirtd: owner and deletion protection."""

import asyncio
from pathlib import Path
from uuid import uuid4

import libvirt
import pytest

from eventually import eventually
from integration.core_harness import CoreHarness
from integration.libvirt.guests import SCRAP, Guests
from proad.core.actor import act_for
from proad.core.inventory import RecordCache
from proad.core.inventory.timing import RecordTiming
from proad.drivers.libvirt import LibvirtDriver
from proad.errors import DeletionProtectedError, InvalidArgumentError
from proad.model import DeleteOptions, Lifetime, StopMode, StopOptions, Subject
from proad.model.scope import Scope
from proad.store.database import Database
from proad.store.owners import OwnerStore
from proad.store.resources import ResourceStore
from proad.store.users import UserStore
from updating import domain_update

pytestmark = pytest.mark.libvirt

FORCE = DeleteOptions(force=True)


async def test_records_of_a_domain_hold_over_a_restart_and_end_with_the_domain(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, tmp_path: Path
):
    async with Database.open(f"sqlite:///{tmp_path}/state.sqlite") as database:
        users, store = UserStore(database), ResourceStore(database, str(uuid4()))
        ann = await users.add("ann", "$2b$04$" + "x" * 53, list(Scope))
        act_for(Subject(ann.name, ann.id))

        def cache() -> RecordCache:
            return RecordCache(store, OwnerStore(database), RecordTiming(write_interval=0.01))

        async def ids() -> set[str]:
            identity = await driver.identity()
            return {each.id async for some in store.batches(identity) for each in some}

        async with CoreHarness.of(driver, cache()) as core:
            made = await core.provisioning.create_domain(
                guests.spec(deletion_protection=True), start=False, host=""
            )
            assert (made.owner, made.deletion_protection) == ("ann", True)

        async with CoreHarness.of(driver, cache()) as core:
            entry = core.inventory.entry(core.connection, made.id)
            assert entry is not None
            assert (entry.published.owner, entry.published.deletion_protection) == ("ann", True)
            assert made.domain is not None
            for options in (DeleteOptions(), FORCE, SCRAP):
                with pytest.raises(DeletionProtectedError):
                    await core.lifecycle.delete(made.id, options)
            volumes = [disk.volume for disk in made.domain.disks if disk.volume and disk.owned]
            assert len(volumes) == 1
            for unreadable in ([], [f"domain {made.name}"]):
                with pytest.raises(DeletionProtectedError):
                    await core.volumes.delete(
                        volumes[0].pool, volumes[0].name, host="", ignore_unreadable=unreadable
                    )
            assert await ids() == {made.id}

            await asyncio.to_thread(raw.lookupByUUIDString(made.id).undefine)
            await core.wait_for(made.id, "gone")
            await eventually(lambda: _equal(ids, set()))


async def _equal(ids, wanted: set[str]) -> bool:
    found: set[str] = await ids()
    return found == wanted


async def test_protect_of_a_transient_domain_is_refused(driver: LibvirtDriver, guests: Guests):
    async with CoreHarness.of(driver) as core:
        spec = guests.blank(lifetime=Lifetime.TRANSIENT)
        made = await core.provisioning.create_domain(spec, start=True, host="")
        with pytest.raises(InvalidArgumentError) as caught:
            await core.lifecycle.update(made.id, domain_update(deletion_protection=True))
        assert [each.field for each in caught.value.violations] == ["domain.deletion_protection"]
        await core.lifecycle.stop(made.id, StopOptions(mode=StopMode.FORCE))


async def test_protection_of_a_saved_domain_goes_on_and_off(driver: LibvirtDriver, guests: Guests):
    """The saved state would undo other changes: the engine knows nothing of this one."""
    async with CoreHarness.of(driver) as core:
        made = await core.provisioning.create_domain(guests.blank(), start=True, host="")
        await core.lifecycle.stop(made.id, StopOptions(mode=StopMode.SAVE))
        for protected in (True, False):
            change = domain_update(deletion_protection=protected)
            updated = await core.lifecycle.update(made.id, change)
            assert updated.resource.deletion_protection is protected
        await core.lifecycle.delete(made.id, SCRAP)
