"""Errors of engines, of the database and of registries."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal, Self

from proad.errors.redaction import redacted
from proad.errors.root import ProaError, Reason


class EngineConflictError(ProaError):
    """The engine refused; the message contains the engine's own.

    `retry_after` is set if the same call may succeed later, `hint` if a remedy is known.
    """

    reason = Reason.ENGINE_CONFLICT

    def __init__(
        self, engine: str, text: str, *, hint: str = "", retry_after: timedelta | None = None
    ) -> None:
        if retry_after is not None:
            hint = hint or "try again in a moment"
        super().__init__(
            f"{engine} refused: {text}{f'; {hint}' if hint else ''}",
            metadata={"engine": engine, "engine_message": text},
            retry_after=retry_after,
        )


ConnectionCause = Literal[
    "refused", "timed out", "unreachable", "reset", "denied", "descriptors received"
]
"""Why there is no connection to a port or a Unix socket."""

_CAUSES_OF_FAILURE = {
    "refused": "nobody listens on port {place} inside the resource; start its server, or see with a "
    "command inside, such as netstat -ltn, which port and address it listens on",
    "timed out": "nothing answers on port {place} inside the resource in time; see whether its "
    "server runs, and whether a firewall inside drops connections",
    "unreachable": "the network of the resource does not lead to port {place}; see whether its "
    "interface is up",
    "reset": "the connection to port {place} broke: the peer inside closed it; connect again",
}
_CAUSES_OF_SOCKETS = {
    "refused": "nobody listens on {place} inside the resource; start its server, or see with a "
    "command inside, such as netstat -lx, which socket it listens on",
    "timed out": "the server of {place} inside the resource takes no connection in time; see "
    "whether it is busy",
    "unreachable": "{place} inside the resource cannot be looked at; see with a command inside, such "
    "as ls -l, what it is",
    "reset": "the connection to {place} broke: the peer inside closed it; connect again",
    "denied": "user 0 of the resource may not connect to {place}; see with a command inside, such as "
    "ls -l, whose socket it is",
    "descriptors received": "the peer at {place} sent file descriptors, which cannot be passed on; "
    "have it send bytes alone",
}

# Maximum length of all causes in one message.
_CAUSES = 400


class EngineUnreachableError(ProaError):
    """The engine does not answer.

    Attributes:
        engine: name of the engine.
        cause: the cause, if known, without the rest of the message.
    """

    reason = Reason.ENGINE_UNREACHABLE
    engine: str
    cause: str

    def __init__(
        self, engine: str, text: str = "", *, others: Sequence["EngineUnreachableError"] = ()
    ) -> None:
        lost = [(engine, text), *((other.engine, other.cause) for other in others)]
        most = _CAUSES // len(lost)
        told = [f"{name} cannot be reached{f': {why[:most]}' if why else ''}" for name, why in lost]
        super().__init__(
            f"{', and '.join(told)}; the daemon keeps trying, GetHost shows when "
            f"{'they are' if others else 'it is'} back",
            metadata={"engine": ",".join(dict.fromkeys(name for name, _ in lost))},
            retry_after=timedelta(seconds=2),
        )
        self.engine = engine
        self.cause = redacted(text)

    @classmethod
    def of_all(cls, errors: Sequence["EngineUnreachableError"]) -> "EngineUnreachableError":
        """Return one error that names all unreachable engines, of which there is at least one."""
        first, *others = errors
        if not others:
            return first
        together = cls(first.engine, first.cause, others=others)
        hosts = dict.fromkeys(e.metadata["host"] for e in errors if "host" in e.metadata)
        return together.on(",".join(hosts))

    def on(self, host: str) -> Self:
        """Return the error with the host of the engine."""
        self.metadata["host"] = host
        return self


class DatabaseUnreachableError(ProaError):
    """The daemon's database does not answer. The cause is in the log, not in the message."""

    reason = Reason.DATABASE_UNREACHABLE

    def __init__(self) -> None:
        super().__init__(
            "the daemon cannot reach its database; nothing was done: try again, or see its log",
            retry_after=timedelta(seconds=2),
        )


class AuditUnavailableError(ProaError):
    """The audit log cannot be written. The cause is in the daemon's log, not in the message."""

    reason = Reason.AUDIT_UNAVAILABLE

    def __init__(self) -> None:
        super().__init__(
            "the daemon cannot write its audit log, and so changes nothing; nothing was done: make "
            "room on the disk of its state_dir, or see its log, and try again",
            retry_after=timedelta(seconds=2),
        )


class EngineTimedOutError(ProaError):
    """The engine did not finish in time; the effect is unknown.

    A call that had not `begun` has no effect itself, but may be part of a larger operation.
    """

    reason = Reason.ENGINE_TIMED_OUT

    def __init__(self, engine: str, what: str = "the call", *, begun: bool = True) -> None:
        super().__init__(
            f"{engine} did not finish {what} in time; it may still take effect: "
            "look again before repeating it"
            if begun
            else f"{engine} was too busy to begin {what} in time; what came before it may have "
            "been done: look again before repeating it",
            metadata={"engine": engine},
        )


class StopTimedOutError(ProaError):
    """The workload did not stop within the grace period; nothing was killed."""

    reason = Reason.STOP_TIMED_OUT

    def __init__(self, name: str, grace: timedelta, *, asked: Sequence[str] = ()) -> None:
        how = f" ({', then '.join(asked)})" if asked else ""
        super().__init__(
            f"{name!r} was asked{how} and did not follow within {grace.total_seconds():g} s; "
            "nothing was killed. Give it more time, or use mode GRACEFUL_THEN_FORCE or FORCE",
            metadata={"name": name, "grace_seconds": f"{grace.total_seconds():g}"},
        )


class CapabilityMissingError(ProaError):
    """The engine of the resource lacks the capability."""

    reason = Reason.CAPABILITY_MISSING

    def __init__(self, capability: str, *, driver: str, hint: str = "") -> None:
        super().__init__(
            f"{driver} cannot do this: {capability}; "
            f"{hint or 'GetHost shows the capabilities of every engine'}",
            metadata={"capability": capability, "driver": driver},
        )


class ConnectionFailedError(ProaError):
    """A connection to a port or a Unix socket inside a resource cannot be made, or broke.

    Args:
        place: the port, or the path of the socket.
        cause: "refused", "timed out", "unreachable" or "reset"; of a socket also "denied" or
            "descriptors received".
    """

    reason = Reason.CONNECTION_FAILED

    def __init__(self, place: int | str, cause: ConnectionCause) -> None:
        is_port = isinstance(place, int)
        causes = _CAUSES_OF_FAILURE if is_port else _CAUSES_OF_SOCKETS
        super().__init__(
            causes[cause].format(place=place),
            metadata={"port" if is_port else "socket_path": str(place), "cause": cause},
        )
        self.cause = cause


class HostExhaustedError(ProaError):
    """The host is out of disk space or memory."""

    reason = Reason.HOST_EXHAUSTED

    def __init__(self, engine: str, text: str) -> None:
        super().__init__(
            f"the host is out of room: {text}; free some, or ask for less",
            metadata={"engine": engine, "engine_message": text},
        )


class RegistryDeniedError(ProaError):
    """The registry refused the credentials, or requires some."""

    reason = Reason.REGISTRY_DENIED

    def __init__(self, registry: str, text: str, *, advice: str) -> None:
        super().__init__(
            f"the registry {registry} refused: {text}; {advice}",
            metadata={"registry": registry},
        )


class RegistryUnreachableError(ProaError):
    """The registry does not answer, or is temporarily unavailable. The engine does answer."""

    reason = Reason.REGISTRY_UNREACHABLE

    def __init__(self, registry: str, text: str, *, hint: str = "") -> None:
        super().__init__(
            f"{text}: {registry}; try again later{f', or {hint}' if hint else ''}",
            metadata={"registry": registry},
            retry_after=timedelta(seconds=10),
        )
