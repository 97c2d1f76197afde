"""The login socket: tokens for users of this host, without a password.

A caller sends one line, a CreateTokenRequest in the JSON of protobuf, and is answered with one
line: a CreateTokenResponse, or an object whose `error` is a google.rpc.Status.
"""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import structlog
from google.protobuf import json_format
from google.rpc import code_pb2, status_pb2

from proa import v1
from proad.auth.local_users import LocalUsers
from proad.core.actor import current_actor
from proad.errors import InvalidArgumentError, ProaError
from proad.lines import LineLimits, Peer, answering
from proad.rpc.access_log import AccessLog
from proad.rpc.auth_service import ACCESS_OF, act_for_user_of, token_fields, wanted_scopes
from proad.rpc.call_auditor import CallAuditor
from proad.rpc.limits import FieldLimits
from proad.rpc.methods import methods
from proad.rpc.status import failure_of, internal_failure
from proad.rpc.user_limiter import UserLimiter
from proad.sockets import SocketAccess, bound

_log = structlog.get_logger(__name__)

_METHOD = methods()["/proa.v1.AuthService/CreateToken"]
_LIMITS = FieldLimits(v1.CreateTokenRequest.DESCRIPTOR)


class LocalLogin:
    """Answers the callers of the login socket, as CreateToken would.

    Args:
        users: knows whom users of this host stand for.
        auditor: writes logins to the audit log.
        access_log: the log of calls.
        limiter: limits the logins of each user of the daemon.
        limits: what callers may take.
    """

    def __init__(
        self,
        users: LocalUsers,
        auditor: CallAuditor,
        access_log: AccessLog,
        limiter: UserLimiter,
        limits: LineLimits = LineLimits(),
    ) -> None:
        self._users = users
        self._auditor = auditor
        self._access_log = access_log
        self._limiter = limiter
        self._limits = limits

    @asynccontextmanager
    async def listening(self, path: Path, access: SocketAccess) -> AsyncIterator[None]:
        """Listen on a path that this process has claimed.

        Raises:
            SetupError: the socket cannot be made, or given to its group.
        """
        try:
            with bound(path, access) as listening:
                async with answering(listening, self._answer, self._limits):
                    yield
        finally:
            self._access_log.write()

    async def _answer(self, line: bytes, peer: Peer) -> bytes:
        answer = await self._served(line, peer)
        return json.dumps(answer, ensure_ascii=True).encode()

    async def _served(self, line: bytes, peer: Peer) -> dict[str, Any]:
        """Return the answer to a line: audited, logged, errors included."""
        correlation_id, named = uuid4().hex, f"unix:uid={peer.uid}"
        structlog.contextvars.bind_contextvars(correlation_id=correlation_id)
        started = time.perf_counter()
        self._auditor.enter(_METHOD, correlation_id, named)
        code, reason = code_pb2.CANCELLED, ""  # the daemon stops meanwhile
        serve = self._auditor.unary(_METHOD, self._create)
        try:
            response = await serve(_request(line), peer)
            code = code_pb2.OK
            return _as_json(response)
        except ProaError as error:
            self._auditor.refused(_METHOD, error, correlation_id, named)
            failure, reason = failure_of(error), str(error.reason)
            code = failure.code
        except Exception:  # noqa: BLE001 - the log has all of it, the caller a correlation id
            _log.exception("fault", method=_METHOD.path)
            failure, reason = internal_failure(correlation_id), "INTERNAL"
            code = failure.code
        finally:
            self._access_log.note(
                method=_METHOD.path,
                code=code_pb2.Code.Name(code),
                reason=reason or None,
                ms=round((time.perf_counter() - started) * 1000, 2),
                subject=current_actor() or None,
                peer=named,
                correlation_id=correlation_id,
            )
        return {"error": _as_json(failure)}

    async def _create(self, request: v1.CreateTokenRequest, peer: Peer) -> v1.CreateTokenResponse:
        issued = await self._users.issue(
            peer,
            request.username,
            wanted_scopes(request.scopes),
            access=ACCESS_OF.get(request.access),
        )
        act_for_user_of(issued)
        self._limiter.pace(issued.user_id)
        return v1.CreateTokenResponse(**token_fields(issued))


def _request(line: bytes) -> v1.CreateTokenRequest:
    """Read a request.

    Raises:
        InvalidArgumentError: it is none, or has what this socket does not take.
    """
    request = v1.CreateTokenRequest()
    try:
        given = json.loads(line)
        if not isinstance(given, dict):
            raise ValueError("no object")  # noqa: TRY301, TRY004 - as what is no JSON
        json_format.ParseDict(given, request, max_recursion_depth=4)
    except (ValueError, json_format.ParseError, RecursionError):
        raise InvalidArgumentError.of(
            "", 'send one line, an object in JSON such as {} or {"scopes": ["SCOPE_BASIC"]}'
        ) from None
    for field in ("password", "service_key"):
        if getattr(request, field):
            raise InvalidArgumentError.of(field, "is for CreateToken; this socket takes none")
    _LIMITS.check(request)
    return request


def _as_json(message: v1.CreateTokenResponse | status_pb2.Status) -> dict[str, Any]:
    return json_format.MessageToDict(message)
