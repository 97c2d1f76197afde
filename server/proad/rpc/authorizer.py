"""Authorization of calls, before a byte of the request is read."""

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

import grpc

from proad.auth.client_address import is_of_this_host
from proad.auth.service import Authenticator, Caller, require
from proad.auth.token_monitor import TokenLease
from proad.auth.tokens import ShownCertificate
from proad.core.gate import PolicyGate
from proad.errors import (
    AccessMissingError,
    CertificateInvalidError,
    ScopeMissingError,
    ShuttingDownError,
    TokenInvalidError,
)
from proad.model.grant import narrower
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
        public_reflection: whether reflection needs no token from other hosts either.
    """

    def __init__(
        self, authenticator: Authenticator, gate: PolicyGate, *, public_reflection: bool = False
    ) -> None:
        self._authenticator = authenticator
        self._gate = gate
        self._public_reflection = public_reflection
        self._closed = False

    def close(self) -> None:
        """Refuse new calls."""
        self._closed = True

    async def authorize(self, method: Method, context: _Context) -> None:
        """Authorize a call, and set the current `caller` unless the method is public.

        The caller is set also if the scope is missing: the access log names the user.

        Raises:
            ShuttingDownError: the daemon is stopping.
            PolicyDeniedError: the caller's profile is not configured, and the method is a change.
            CertificateInvalidError: the client certificate of the connection was revoked.
            ProaError: as `Authenticator.authenticate` and `require` raise.
        """
        if self._closed:
            raise ShuttingDownError
        certificates = self._authenticator.certificates
        shown = _shown(context) if certificates.may_be_revoked else None
        if shown is not None and certificates.revoked(shown):
            raise CertificateInvalidError
        access = method.access
        if access.public:
            return
        known = await self._authenticate(context)
        caller.enter(known)
        for scope in access.scopes:
            require(known, scope)
        if not access.scopes and not access.authenticated:
            raise ScopeMissingError("none that exists", sorted(known.scopes))
        if method.changes and access.scopes:
            self._gate.check_profile()

    async def authorize_reflection(self, context: _Context) -> None:
        """Authorize a call of reflection: by anybody on this host, by users from elsewhere.

        Raises:
            ProaError: as `Authenticator.authenticate` raises.
        """
        if self._public_reflection or is_of_this_host(self.client_address(context)):
            return
        await self._authenticate(context)

    async def _authenticate(self, context: _Context) -> Caller:
        authorization = _authorization(headers(context))
        shown = None
        # A proxy's certificate tells nothing of who calls through the proxy.
        if (
            authorization is None
            and self._authenticator.certificates.identify_callers
            and not self._authenticator.is_proxy(context.peer())
        ):
            shown = _shown(context)
        return await self._authenticator.authenticate(authorization, shown)

    async def check_again(self) -> None:
        """Check that the current caller would still be authorized.

        Raises:
            ProaError: as `Authenticator.check_again` raises.
        """
        await self._authenticator.check_again(caller.current())

    async def renewal(self, method: Method, token: str) -> Caller:
        """Return the current caller by another token, which must allow what the first one had to.

        Raises:
            TokenInvalidError: it is another user's, or the user was changed since the call began.
            AccessMissingError: its access is narrower than the one that the call began with.
            ProaError: as `authorize` raises.
        """
        renewed = await self._authenticator.authenticate(f"Bearer {token}")
        before = caller.current().user
        if renewed.user_id != before.id or renewed.user.token_version != before.token_version:
            raise TokenInvalidError
        for scope in method.access.scopes:
            require(renewed, scope)
        held, needed = caller.access_of(renewed), caller.subject().access
        if narrower(held, needed) is not needed:
            raise AccessMissingError(needed, held)
        return renewed

    def client_address(self, context: _Context) -> str:
        """Return the address of the client of a call; see `Authenticator.client_address`."""
        return self._authenticator.client_address(context.peer(), forwarded(headers(context)))

    def while_valid(self, *, expires: bool) -> AbstractAsyncContextManager[TokenLease]:
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


def _shown(context: _Context) -> ShownCertificate | None:
    """Return the client certificate of a call's connection.

    Only the certificate itself: gRPC puts alternative names of all kinds into one list, leaves
    some out, and has the common name where it knows none.
    """
    known: Any = context.auth_context()
    found = known.get("x509_pem_cert")
    if not found:
        return None
    chain = b"".join(known.get("x509_pem_cert_chain", ()))
    return ShownCertificate(found[0], chain, address=caller.address())


def _authorization(metadata: Metadata) -> str | None:
    """Return the header with the token.

    Raises:
        TokenInvalidError: there are two such headers, and which one counts is undefined.
    """
    found = [value for key, value in metadata if key == "authorization"]
    if len(found) > 1 or (found and not isinstance(found[0], str)):
        raise TokenInvalidError
    return str(found[0]) if found else None
