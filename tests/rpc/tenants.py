"""Users of one daemon who may not see everything."""

from dataclasses import dataclass
from typing import Any

from proad.model import Access
from proad.model.scope import Scope
from rpc.daemon import IMAGE, MEMORY_BYTES, RPCS, Daemon, refusal

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


async def tenant(daemon, name, access=Access.OWN, team=None) -> Tenant:
    """Add a user with all scopes to a daemon."""
    user = await daemon.users.add(
        name, _HASH, tuple(Scope), access=access, team_id="" if team is None else team.id
    )
    daemon.versions[name] = user.token_version
    return Tenant(daemon, name, user.id)
