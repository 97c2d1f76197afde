"""What the log is told of a call, and the lines that become of it."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from proad.audit.chain import content
from proad.errors import AuditUnavailableError
from proad.model import AuditEntry, AuditOutcome
from proad.store.audit import AuditEnd

_MOVED = ("received_bytes", "sent_bytes")

_OUTCOMES = {
    "OK": AuditOutcome.SUCCEEDED,
    "PERMISSION_DENIED": AuditOutcome.DENIED,
    "": AuditOutcome.UNKNOWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCall:
    """A call that is to change something; see `AuditEntry`.

    Attributes:
        detail: what is changed, of a command on the host; the line alone has it.
    """

    method_name: str
    username: str = ""
    user_id: str = ""
    team_id: str = ""
    token_id: str = ""
    peer: str = ""
    target: str = ""
    snapshot: str = ""
    request_id: str = ""
    correlation_id: str = ""
    detail: str = ""

    def fields(self, kind: str) -> dict[str, Any]:
        """Return the fields of a line about it."""
        return {
            "kind": kind,
            "time": datetime.now(UTC),
            "username": self.username,
            "user_id": self.user_id,
            "team_id": self.team_id,
            "token_id": self.token_id,
            "peer": self.peer,
            "method_name": self.method_name,
            "target": self.target,
            "snapshot": self.snapshot,
            "request_id": self.request_id,
            "correlation_id": self.correlation_id,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOutcome:
    """What became of a call.

    Attributes:
        code: name of the code of gRPC; empty: nobody knows.
        reason: why it failed.
        rule: the rule of the host's policy that denied it.
        path: canonical path of the resource, as far as it is known.
        received_bytes: bytes of a stream of requests that came.
        sent_bytes: bytes of the responses to one.
    """

    code: str = ""
    reason: str = ""
    rule: str = ""
    path: str = ""
    received_bytes: int = 0
    sent_bytes: int = 0

    def fields(self) -> dict[str, Any]:
        """Return the fields of a line about it."""
        return {
            "end_time": datetime.now(UTC) if self.code else None,
            "outcome": str(_OUTCOMES.get(self.code, AuditOutcome.FAILED)),
            "code": self.code,
            "reason": self.reason,
            "rule": self.rule,
            "path": self.path,
            **{name: moved for name in _MOVED if (moved := getattr(self, name))},
        }


@dataclass(slots=True, eq=False)
class PendingLine:
    """A line on its way to disk.

    Attributes:
        fields: the fields of the line but its number; empty: there is none to write, and `on_disk`
            tells that all lines before it are there.
        on_disk: done once it is there, or never will be; None: nobody waits, and it is written
            as soon as that can be done.
        of: the line with the intent whose outcome it tells.
        of_reserve: whether it may take of the log's reserve.
        sequence: its number; 0: it has none yet.
        given_up: whether it will never be on disk.
    """

    fields: dict[str, Any]
    on_disk: "asyncio.Future[None] | None" = None
    of: "PendingLine | None" = None
    of_reserve: bool = False
    sequence: int = 0
    given_up: bool = False

    def content(self) -> bytes:
        """Return the line as the chain takes it."""
        fields = self.fields
        if self.of is not None:
            fields["intent"] = self.of.sequence
        return content(fields)

    async def wait(self) -> None:
        """Wait until it is on disk.

        Raises:
            AuditUnavailableError: it never will be.
        """
        if self.on_disk is None:
            return
        if self.on_disk.done():
            self.on_disk.result()
        else:
            await asyncio.shield(self.on_disk)

    def settle(self, *, written: bool) -> None:
        """Tell who waits for it."""
        if self.on_disk is None or self.on_disk.done():
            return
        if written:
            self.on_disk.set_result(None)
        else:
            self.on_disk.set_exception(AuditUnavailableError())
            self.on_disk.exception()  # retrieved: its caller may be gone


def entry_of(sequence: int, fields: dict[str, Any]) -> AuditEntry | None:
    """Return the entry that a line begins; None: the line is about something else."""
    if fields.get("kind") not in {"intent", "denied"}:
        return None
    return AuditEntry(
        sequence=sequence,
        time=_time(fields["time"]),
        outcome=AuditOutcome(fields.get("outcome", AuditOutcome.PENDING)),
        end_time=_time(fields.get("end_time")),
        **_read(fields, _TEXTS),
    )


def end_of(fields: dict[str, Any]) -> AuditEnd | None:
    """Return the outcome that a line tells of an entry; None: the line is about something else."""
    if fields.get("kind") != "outcome":
        return None
    return AuditEnd(
        sequence=fields["intent"],
        outcome=AuditOutcome(fields["outcome"]),
        end_time=_time(fields.get("end_time")),
        **_read(fields, ("path", "code", "reason", "rule")),
    )


_TEXTS = (
    "username",
    "user_id",
    "team_id",
    "token_id",
    "peer",
    "method_name",
    "path",
    "target",
    "snapshot",
    "request_id",
    "correlation_id",
    "code",
    "reason",
    "rule",
)


def _read(fields: dict[str, Any], texts: Iterable[str]) -> dict[str, Any]:
    """Return these texts of a line, and the bytes that its call has moved."""
    moved = {name: fields.get(name, 0) for name in _MOVED}
    return moved | {name: _storable(fields.get(name, "")) for name in texts}


def _time(value: Any) -> Any:
    """Return the time of a field, of a line that is read or that is yet to be written."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _storable(text: str) -> str:
    """Return a text of a line as each database takes it.

    A line tells all that was said: also what is no UTF-8, of a shell, and NUL, of a caller.
    """
    return text.encode(errors="replace").decode().replace("\0", "?")
