"""Entries of the audit log: who did what."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from proad.model.checks import Text


class AuditOutcome(StrEnum):
    """What became of a call that was to change something."""

    # It has not ended.
    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    # The token lacked a scope, or the host's policy forbade it.
    DENIED = "DENIED"
    # It failed for another reason.
    FAILED = "FAILED"
    # The daemon ended during the call, and nothing tells what became of it.
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """A call that was to change something, or that was denied for want of a scope.

    Attributes:
        sequence: number of its line in the log.
        time: when the call was made.
        username: name of the user at that time; empty: a command on the host.
        user_id: id of the user.
        team_id: id of the user's team at that time; empty: none.
        token_id: id of the token.
        peer: where the call came from, as gRPC writes it; the user of the host.
        method_name: full path of the RPC; or the words of a command on the host.
        path: canonical path of the resource, as far as it is known.
        target: what the request named.
        snapshot: name of the snapshot that the call is about; empty: none.
        request_id: id of the request; empty: it had none.
        correlation_id: id of the call in the daemon's own log.
        outcome: what became of the call.
        end_time: when it ended; None: it has not, or nobody knows.
        code: name of the code of gRPC; empty: as `end_time`.
        reason: why it failed; empty: it did not.
        rule: the rule of the host's policy that denied it; empty: none did.
        received_bytes: bytes of the messages of a stream of requests.
        sent_bytes: bytes of the responses to one.
    """

    sequence: int
    time: datetime
    username: str = ""
    user_id: str = ""
    team_id: str = ""
    token_id: str = ""
    peer: str = ""
    method_name: str
    path: str = ""
    target: str = ""
    snapshot: str = ""
    request_id: str = ""
    correlation_id: str = ""
    outcome: AuditOutcome = AuditOutcome.PENDING
    end_time: datetime | None = None
    code: str = ""
    reason: str = ""
    rule: str = ""
    received_bytes: int = 0
    sent_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries: those that all of it fits; what is empty or None fits all.

    Attributes:
        resource: path of a resource, or what requests named.
        username: name of the user at that time.
        user_id: id of the user.
        method_name: full path of the RPC.
        start_time: calls made at this time or later.
        end_time: calls made before this time.
        outcomes: what became of them.
    """

    resource: Text = ""
    username: Text = ""
    user_id: Text = ""
    method_name: Text = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    outcomes: tuple[AuditOutcome, ...] = ()
