"""AuthService: tokens."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from proa import v1
from proa.v1 import auth_service_pb2_grpc
from proad.auth.service import Authenticator, IssuedToken
from proad.core.actor import act_for
from proad.core.quotas import Quotas
from proad.errors import InvalidArgumentError
from proad.model import Access, Subject
from proad.model.scope import Scope
from proad.ports.records import OwnerNames
from proad.rpc import caller
from proad.rpc.authorizer import forwarded, headers
from proad.rpc.decode import required_text
from proad.rpc.encode import encode
from proad.rpc.methods import SCOPES
from proad.rpc.user_limiter import UserLimiter

_Context = grpc.aio.ServicerContext[Any, Any]

_NUMBERS = {scope: number for number, scope in SCOPES.items()}
_ACCESSES = {
    Access.ALL: v1.ACCESS_ALL,
    Access.TEAM: v1.ACCESS_TEAM,
    Access.OWN: v1.ACCESS_OWN,
}
ACCESS_OF = {number: access for access, number in _ACCESSES.items()}
"""The accesses by their numbers in the contract."""


class AuthService(auth_service_pb2_grpc.AuthServiceServicer):
    """Converts, delegates to the authenticator, converts."""

    def __init__(
        self,
        authenticator: Authenticator,
        owners: OwnerNames,
        quotas: Quotas,
        users: UserLimiter,
    ) -> None:
        self._users = users
        self._quotas = quotas
        self._authenticator = authenticator
        self._owners = owners

    async def CreateToken(
        self, request: v1.CreateTokenRequest, context: _Context
    ) -> v1.CreateTokenResponse:
        wanted, access = wanted_scopes(request.scopes), ACCESS_OF.get(request.access)
        peer, addresses = context.peer(), forwarded(headers(context))
        if request.service_key:
            if request.username or request.password:
                raise InvalidArgumentError.of(
                    "service_key", "stands in place of username and password; give one or the other"
                )
            issued = await self._authenticator.create_token_for_key(
                request.service_key, wanted, access=access, peer=peer, forwarded=addresses
            )
        else:
            issued = await self._authenticator.create_token(
                required_text(request, "username"),
                required_text(request, "password"),
                wanted,
                access=access,
                peer=peer,
                forwarded=addresses,
            )
        act_for_user_of(issued)
        self._users.pace(issued.user_id)
        return v1.CreateTokenResponse(**token_fields(issued))

    async def RefreshToken(
        self, request: v1.RefreshTokenRequest, context: _Context
    ) -> v1.RefreshTokenResponse:
        issued = await self._authenticator.refresh_token(
            required_text(request, "refresh_token"),
            peer=context.peer(),
            forwarded=forwarded(headers(context)),
        )
        act_for_user_of(issued)
        self._users.pace(issued.user_id)
        return v1.RefreshTokenResponse(**token_fields(issued))

    async def GetCaller(
        self, request: v1.GetCallerRequest, context: _Context
    ) -> v1.GetCallerResponse:
        known, subject = caller.current(), caller.subject()
        team_id = subject.team_id
        names = await self._owners.names([team_id]) if team_id else {}
        return v1.GetCallerResponse(
            username=known.username,
            scopes=_numbers(known.scopes),
            expire_time=_time(known.expire_time),
            access=_ACCESSES[subject.access],
            team=names.get(team_id, ""),
            profile=subject.profile,
            quotas=[encode(v1.Quota, each) for each in self._quotas.usage()],
        )

    async def RevokeToken(
        self, request: v1.RevokeTokenRequest, context: _Context
    ) -> v1.RevokeTokenResponse:
        await self._authenticator.revoke(caller.current())
        return v1.RevokeTokenResponse()


def act_for_user_of(issued: IssuedToken) -> None:
    """Let the current call be of the user who gets a token, so that the logs name the user."""
    act_for(Subject(issued.username, issued.user_id, issued.token_id))


def token_fields(issued: IssuedToken) -> dict[str, Any]:
    """Return the fields of a response, which are the same for every way to get a token."""
    refresh = issued.refresh_expire_time
    return {
        "token": issued.token,
        "expire_time": _time(issued.expire_time),
        "scopes": _numbers(issued.scopes),
        "refresh_token": issued.refresh_token,
        "refresh_expire_time": _time(refresh) if refresh else None,
    }


def wanted_scopes(numbers: Iterable["v1.Scope.ValueType"]) -> list[Scope] | None:
    """Return the scopes that a request asks for; None: all. Raises InvalidArgumentError."""
    wanted = []
    for index, number in enumerate(numbers):
        if number not in SCOPES:
            raise InvalidArgumentError.of(
                f"scopes[{index}]", "must be SCOPE_BASIC, SCOPE_ADVANCED or SCOPE_AUDIT"
            )
        wanted.append(SCOPES[number])
    return wanted or None


def _numbers(scopes: Iterable[Scope]) -> list["v1.Scope.ValueType"]:
    return sorted(_NUMBERS[scope] for scope in scopes)


def _time(value: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(value)
    return stamp
