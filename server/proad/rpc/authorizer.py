"""Authorization of calls, before a byte of the request is read."""

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

import grpc

from proad.auth.service import Authenticator, require
from proad.core.gate import PolicyGate
from proad.errors import ScopeMissingError, ShuttingDownError, TokenInvalidError
from proad.rpc import caller
from proad.rpc.methods import Method

_Context = grpc.aio.ServicerContext[Any, Any]
Metadata = Iterable[tuple[str, str | bytes]]


class Authorizer:
    """Authorizes callers by the access that a method requires and the scopes that the token grants.

    Denied by default: a method without access in the contract is refused. A caller who is not
    authenticated gets UNAUTHENTICATED, one without the scope PERMISSION_DENIED.

    Args:
        authenticator: verifies tokens.
        gate: knows the profiles of the host's policy.
    """

    def __init__(self, authenticator: Authenticator, gate: PolicyGate) -> None:
        self._authenticator = authenticator
        self._gate = gate
        self._closed = False

    def close(self) -> None:
        """Refuse new calls."""
        self._closed = True

    async def authorize(self, method: Method, metadata: Metadata) -> None:
        """Authorize a call, and set the current `caller` unless the method is public.

        The caller is set also if the scope is missing: the access log names the user.

        Raises:
            ShuttingDownError: the daemon is stopping.
            PolicyDeniedError: the caller's profile is not configured, and the method is a change.
            ProaError: as `Authenticator.authenticate` and `require` raise.
        """
        if self._closed:
            raise ShuttingDownError
        access = method.access
        if access.public:
            return
        known = await self._authenticator.authenticate(_authorization(metadata))
        caller.enter(known)
        for scope in access.scopes:
            require(known, scope)
        if not access.scopes and not access.authenticated:
            raise ScopeMissingError("none that exists", sorted(known.scopes))
        if method.changes and access.scopes:
            self._gate.check_profile()

    async def check_again(self) -> None:
        """Check that the current caller would still be authorized.

        Raises:
            ProaError: as `Authenticator.check_again` raises.
        """
        await self._authenticator.check_again(caller.current())

    def client_address(self, context: _Context) -> str:
        """Return the address of the client of a call; see `Authenticator.client_address`."""
        return self._authenticator.client_address(context.peer(), forwarded(headers(context)))

    def while_valid(self, *, expires: bool) -> AbstractAsyncContextManager[None]:
        """Cancel the block when the current caller would not be authorized any more.

        Args:
            expires: whether the block ends with the lifetime of the caller's token, too.

        Raises:
            ProaError: as `Authenticator.while_valid` raises.
        """
        return self._authenticator.while_valid(caller.current(), expires=expires)


def headers(context: _Context) -> Metadata:
    """Return the headers of a call."""
    metadata: Any = context.invocation_metadata()
    return metadata or ()


def header(metadata: Metadata, name: str) -> str | None:
    """Return a header of a call; None if it is missing or not text."""
    for key, value in metadata:
        if key == name and isinstance(value, str):
            return value
    return None


def forwarded(metadata: Metadata) -> list[str]:
    """Return the addresses by which proxies say where a call came from."""
    return [v for key, v in metadata if key == "x-forwarded-for" and isinstance(v, str)]


def _authorization(metadata: Metadata) -> str | None:
    """Return the header with the token.

    Raises:
        TokenInvalidError: there are two such headers, and which one counts is undefined.
    """
    found = [value for key, value in metadata if key == "authorization"]
    if len(found) > 1 or (found and not isinstance(found[0], str)):
        raise TokenInvalidError
    return str(found[0]) if found else None
