"""Two tenants on real engines: nothing of the other's is seen, used or told, also after a kill."""

import asyncio
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import proa
from integration.daemon.conftest import BIN, PASSWORD, Daemon
from integration.daemon.test_records import create, pool, volumes
from proa import v1
from proad.auth.passwords import Passwords
from proad.model import Access
from proad.model.scope import Scope
from proad.store.database import Database
from proad.store.users import UserStore

pytestmark = [pytest.mark.libvirt]
__all__ = ["pool"]


async def add_tenants(daemon: Daemon, *names: str) -> None:
    url = f"sqlite:///{daemon.environment['PROA_STATE_DIR']}/proa.db"
    with Passwords(cost=4) as passwords:
        hashed = await passwords.hash(PASSWORD)
    async with Database.open(url) as database:
        for name in names:
            await UserStore(database).add(name, hashed, tuple(Scope), access=Access.OWN)


def names(client: proa.Client) -> list[str]:
    listed = client.resources.ListResources(v1.ListResourcesRequest())
    return [resource.name for resource in listed.resources]


def test_tenants_of_libvirt_share_nothing_until_it_is_handed_over(
    start_daemon: Callable[..., Daemon],
    token: str,
    pool: str,
    swept: Callable[[proa.Client], None],
):
    daemon = start_daemon(PROA_DOCKER_URL="")
    asyncio.run(add_tenants(daemon, "tina", "toby"))
    swept(daemon.client())
    with daemon.client("tina") as tina:
        made = create(tina, f"{token}-vm", pool)
        (volume,) = volumes(tina, pool)
        path = tina.volumes.ListVolumes(v1.ListVolumesRequest(pool=pool)).volumes[0].path
    assert daemon.stop(signal.SIGKILL) != 0
    daemon.start()

    with daemon.client("toby") as toby:
        assert names(toby) == []
        assert volumes(toby, pool) == []
        for ref in (made.id, made.name, made.path, made.id[:8]):
            with pytest.raises(proa.NotFound) as refused:
                toby.resources.GetResource(v1.GetResourceRequest(id=ref))
            assert refused.value.reason == "RESOURCE_NOT_FOUND"
        for disk in (
            v1.DiskSpec(volume=v1.VolumeRef(pool=pool, name=volume)),
            v1.DiskSpec(
                new_volume=v1.NewDisk(pool=pool, base=v1.VolumeRef(pool=pool, name=volume))
            ),
        ):
            spec = v1.DomainSpec(name=f"{token}-mine", memory_bytes=2**25, disks=[disk])
            with pytest.raises(proa.NotFound) as refused:
                toby.domains.CreateDomain(v1.CreateDomainRequest(spec=spec))
            assert refused.value.reason == "VOLUME_NOT_FOUND"
        beside = Path(path).parent / f"{token}-unlisted"
        beside.write_bytes(bytes(2**20))  # which the pool does not know of yet
        told = set()
        for kind, format, source, word in (
            ("file", "qcow2", f"file='{path}'", path),
            ("file", "raw", f"file='{path}'", path),
            ("file", "qcow2", f"file='{path}-none'", f"{path}-none"),
            ("file", "raw", f"file='{beside}'", str(beside)),
            ("volume", "qcow2", f"pool='{pool}' volume='{volume}'", f"{pool}/{volume}"),
            ("volume", "raw", f"pool='{pool}' volume='{volume}'", f"{pool}/{volume}"),
            ("volume", "qcow2", f"pool='{pool}' volume='none'", f"{pool}/none"),
        ):
            xml = (
                f"<domain type='qemu'><name>{token}-xml</name><memory unit='MiB'>32</memory>"
                f"<os><type>hvm</type></os><devices><disk type='{kind}' device='disk'>"
                f"<driver name='qemu' type='{format}'/><source {source}/><target dev='vda'/>"
                "</disk></devices></domain>"
            )
            with pytest.raises(proa.InvalidArgument) as unusable:
                toby.domains.CreateDomainFromXml(v1.CreateDomainFromXmlRequest(xml=xml))
            told.add(str(unusable.value).replace(f"'{word}'", "IT"))
        assert len(told) == 1, told
        beside.unlink()
        with pytest.raises(proa.NotFound):
            toby.volumes.DeleteVolume(v1.DeleteVolumeRequest(pool=pool, name=volume))

        subprocess.run(
            [BIN / "proad", "owner", "set", made.id, "toby"], env=daemon.environment, check=True
        )
        assert names(toby) == [made.name]
        assert volumes(toby, pool) == [volume]
        with daemon.client("tina") as tina:
            assert names(tina) == []
            assert volumes(tina, pool) == []
        toby.resources.DeleteResource(v1.DeleteResourceRequest(id=made.id))
        assert volumes(toby, pool) == []
