"""The daemon's records of volumes outlive the daemon; without them volumes are not deleted."""

import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import libvirt
import pytest

import proa
from integration.daemon.conftest import Daemon
from proa import v1

pytestmark = pytest.mark.libvirt


@pytest.fixture
def pool(token: str) -> Iterator[str]:
    """The name of a storage pool of the test's own."""
    connection = libvirt.open("qemu:///system")
    folder = Path("/var/tmp") / token
    folder.mkdir(mode=0o755)
    pool = connection.storagePoolCreateXML(
        f"<pool type='dir'><name>{token}</name><target><path>{folder}</path></target></pool>"
    )
    yield token
    pool.destroy()
    shutil.rmtree(folder)
    connection.close()


def create(client: proa.Client, name: str, pool: str) -> v1.Resource:
    disk = v1.NewDisk(capacity_bytes=2**20, pool=pool)
    spec = v1.DomainSpec(
        name=name,
        memory_bytes=32 * 2**20,
        disks=[v1.DiskSpec(new_volume=disk)],
        networkless=True,
    )
    return client.domains.CreateDomain(v1.CreateDomainRequest(spec=spec)).resource


def volumes(client: proa.Client, pool: str) -> list[str]:
    listed = client.volumes.ListVolumes(v1.ListVolumesRequest(pool=pool))
    return [volume.name for volume in listed.volumes]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_restart_keeps_what_goes_with_a_domain(
    start_daemon: Callable[..., Daemon],
    token: str,
    pool: str,
    swept: Callable[[proa.Client], None],
    number: signal.Signals,
):
    daemon = start_daemon(PROA_DOCKER_URL="")
    swept(daemon.client())
    with daemon.client() as client:
        made = create(client, token, pool)
        assert [disk.owned for disk in made.domain.disks] == [True]
    daemon.stop(number)
    daemon.start()
    with daemon.client() as client:
        full = client.resources.GetResource(v1.GetResourceRequest(id=made.id)).resource
        assert [disk.owned for disk in full.domain.disks] == [True]
        client.resources.DeleteResource(v1.DeleteResourceRequest(id=made.id))
        assert volumes(client, pool) == []


def test_database_that_cannot_be_written_changes_nothing(
    start_daemon: Callable[..., Daemon],
    token: str,
    pool: str,
    swept: Callable[[proa.Client], None],
):
    daemon = start_daemon(PROA_DOCKER_URL="")
    swept(daemon.client())
    with daemon.client() as client:
        made = create(client, token, pool)
        kept = volumes(client, pool)
        holder = sqlite3.connect(daemon.home / "state/proa.db", isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        try:
            with pytest.raises(proa.Unavailable) as caught:
                create(client, f"{token}-other", pool)
            assert caught.value.reason == "DATABASE_UNREACHABLE"
            assert "engine" not in caught.value.metadata
            assert caught.value.retry_after is not None
        finally:
            holder.close()
        assert volumes(client, pool) == kept
        listed = client.resources.ListResources(
            v1.ListResourcesRequest(filter=v1.ResourceFilter(name_prefix=token))
        )
        assert [resource.id for resource in listed.resources] == [made.id]
