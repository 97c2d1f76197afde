"""Users of one daemon who may not see everything."""

from dataclasses import dataclass
from typing import Any

from proad.model import Access, ContainerSpec
from proad.model.scope import Scope
from rpc.daemon import IMAGE, MEMORY_BYTES, RPCS, Daemon, refusal
from rpc.watcher import Watcher

_HASH = "$2b$04$" + "x" * 53


@dataclass(frozen=True)
class Tenant:
    """A user, and calls with a token of the user."""

    daemon: Daemon
    name: str
    id: str

    @property
    def token(self):
        return self.daemon.token(*Scope, username=self.name)

    def call(self, method, /, *, within=20, **fields) -> Any:
        """Begin a call that has to end within so many seconds."""
        rpc = RPCS[method]
        return self.daemon.send(rpc, rpc.request(**fields), token=self.token, timeout=within)

    async def refused(self, method, /, **fields):
        """Return the refusal of a call that must fail."""
        call = self.call(method, **fields)
        return await refusal(call.read() if RPCS[method].streams else call)

    async def container(self, name, *, start=True, **spec):
        spec = {"image": IMAGE, "name": name, **spec}
        return (await self.call("CreateContainer", spec=spec, start=start)).resource

    async def domain(self, name, *, start=False, **spec):
        spec = {"name": name, "memory_bytes": MEMORY_BYTES, **spec}
        return (await self.call("CreateDomain", spec=spec, start=start)).resource

    async def names(self, **request):
        """Return the names in ListResources, in its order."""
        listed = await self.call("ListResources", **request)
        return [resource.name for resource in listed.resources]

    async def volumes(self):
        """Return the owners in ListVolumes by the names of the volumes."""
        return {each.name: each.owner for each in (await self.call("ListVolumes")).volumes}


async def tenant(daemon, name, access=Access.OWN, team=None) -> Tenant:
    """Add a user with all scopes to a daemon."""
    user = await daemon.users.add(
        name, _HASH, tuple(Scope), access=access, team_id="" if team is None else team.id
    )
    daemon.versions[name] = user.token_version
    return Tenant(daemon, name, user.id)


async def outside(daemon, name="outside"):
    """Make a container past the daemon, and return it once the daemon knows of it."""
    watcher = await Watcher(daemon).begin()
    await daemon.driver.create_container(ContainerSpec(image=IMAGE, name=name))
    await watcher.until(lambda: any(each.name == name for each in watcher.there.values()))
    watcher.call.cancel()
    return watcher.there_by_name(name)


def on_disk(name, source):
    """Return the XML of a domain with one disk."""
    return (
        f"<domain type='test'><name>{name}</name><memory>65536</memory><os><type>hvm</type></os>"
        "<devices><disk type='{}' device='disk'><driver name='qemu' type='qcow2'/><source {}/>"
        "<target dev='vda' bus='virtio'/></disk></devices></domain>"
    ).format("file" if source.startswith("file") else "volume", source)
