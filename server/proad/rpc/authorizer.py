"""Who may make a call: decided before a byte of the request is read."""

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

import grpc

from proa import v1
from proad.auth.service import Authenticator, require
from proad.errors import ScopeMissingError, ShuttingDownError, TokenInvalidError
from proad.model.scope import Scope
from proad.rpc import caller
from proad.rpc.methods import Method

_Context = grpc.aio.ServicerContext[Any, Any]
Metadata = Iterable[tuple[str, str | bytes]]


class Authorizer:
    """Lets callers in by what the method requires and the token allows.

    Denied by default: a method without a scope in the contract is refused. A caller that
    is not known gets UNAUTHENTICATED, one that is known and may not gets PERMISSION_DENIED.

    Args:
        authenticator: tells whose token it is.
    """

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._closed = False

    def close(self) -> None:
        """Refuse new calls."""
        self._closed = True

    async def admit(self, method: Method, metadata: Metadata) -> None:
        """Let a caller in; in a call that is not PUBLIC, `caller` then tells who it is.

        It tells that, too, of whoever is known and may not: the access log names them.

        Raises:
            ShuttingDownError: nobody is let in any more.
            ProaError: as `Authenticator.authenticate` and `require` raise.
        """
        if self._closed:
            raise ShuttingDownError
        if method.scope == v1.SCOPE_PUBLIC:
            return
        known = await self._authenticator.authenticate(_authorization(metadata))
        caller.enter(known)
        match method.scope:
            case v1.SCOPE_AUTHENTICATED:
                pass
            case v1.SCOPE_BASIC:
                require(known, Scope.BASIC)
            case v1.SCOPE_ADVANCED:
                require(known, Scope.ADVANCED)
            case _:
                raise ScopeMissingError("none that exists", sorted(known.scopes))

    async def check_again(self) -> None:
        """Do nothing if who was let in would still be.

        Raises:
            ProaError: as `Authenticator.check_again` raises.
        """
        await self._authenticator.check_again(caller.current())

    def place(self, context: _Context) -> str:
        """Return where a call comes from, as far as it tells one caller from another."""
        return self._authenticator.client_address(context.peer(), forwarded(sent_along(context)))

    def holding(self, *, expires: bool) -> AbstractAsyncContextManager[None]:
        """End what is done in the context when the caller would not be let in any more.

        With `expires`, it ends with the time of the caller's token, too.

        Raises:
            ProaError: as `Authenticator.while_valid` raises.
        """
        return self._authenticator.while_valid(caller.current(), expires=expires)


def sent_along(context: _Context) -> Metadata:
    """Give the headers of a call."""
    sent: Any = context.invocation_metadata()
    return sent or ()


def header(metadata: Metadata, name: str) -> str | None:
    """Give a header of a call, if it is there and is text."""
    for key, value in metadata:
        if key == name and isinstance(value, str):
            return value
    return None


def forwarded(metadata: Metadata) -> list[str]:
    """Give what proxies say of where a call came from."""
    return [v for key, v in metadata if key == "x-forwarded-for" and isinstance(v, str)]


def _authorization(metadata: Metadata) -> str | None:
    """Give the header that carries the token.

    Raises:
        TokenInvalidError: there are two, and nobody can tell which one counts.
    """
    found = [value for key, value in metadata if key == "authorization"]
    if len(found) > 1 or (found and not isinstance(found[0], str)):
        raise TokenInvalidError
    return str(found[0]) if found else None
