"""The engine cannot, will not or does not answer."""

from collections.abc import Sequence
from datetime import timedelta

from proad.errors.redaction import redacted
from proad.errors.root import ProaError, Reason


class EngineConflictError(ProaError):
    """The engine refused; its own text is passed on.

    `retry_after` is set where the same call may succeed when it is made again.
    """

    reason = Reason.ENGINE_CONFLICT

    def __init__(self, engine: str, text: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(
            f"{engine} refused: {text}",
            metadata={"engine": engine, "engine_message": text},
            retry_after=retry_after,
        )


class EngineUnreachableError(ProaError):
    """The engine does not answer.

    Attributes:
        cause: what is known of why, without the rest of the message.
    """

    reason = Reason.ENGINE_UNREACHABLE

    def __init__(self, engine: str, text: str = "") -> None:
        super().__init__(
            f"{engine} cannot be reached{f': {text}' if text else ''}; "
            "the daemon keeps trying, GetHost shows when it is back",
            metadata={"engine": engine},
            retry_after=timedelta(seconds=2),
        )
        self.cause = redacted(text)


class DatabaseUnreachableError(ProaError):
    """The daemon's database does not answer. The reason is in the log, not in the text."""

    reason = Reason.ENGINE_UNREACHABLE

    def __init__(self) -> None:
        super().__init__(
            "the daemon cannot reach its database; nothing was done: try again, or see its log",
            metadata={"engine": "database"},
            retry_after=timedelta(seconds=2),
        )


class EngineTimedOutError(ProaError):
    """The engine did not finish in time; the effect is unknown.

    A call that was not even `begun` had no effect, but may be a step of something larger.
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
    """A graceful request was not followed in time; nothing was killed."""

    reason = Reason.STOP_TIMED_OUT

    def __init__(self, name: str, grace: timedelta, *, asked: Sequence[str] = ()) -> None:
        how = f" ({', then '.join(asked)})" if asked else ""
        super().__init__(
            f"{name!r} was asked{how} and did not follow within {grace.total_seconds():g} s; "
            "nothing was killed. Give it more time, or use mode GRACEFUL_THEN_FORCE or FORCE",
            metadata={"name": name, "grace_seconds": f"{grace.total_seconds():g}"},
        )


class CapabilityMissingError(ProaError):
    """The engine that has the resource cannot do this."""

    reason = Reason.CAPABILITY_MISSING

    def __init__(self, capability: str, *, driver: str, hint: str = "") -> None:
        super().__init__(
            f"{driver} cannot do this: {capability}; "
            f"{hint or 'GetHost shows the capabilities of every engine'}",
            metadata={"capability": capability, "driver": driver},
        )


class HostExhaustedError(ProaError):
    """The host has no room left, on disk or in memory."""

    reason = Reason.HOST_EXHAUSTED

    def __init__(self, engine: str, text: str) -> None:
        super().__init__(
            f"the host is out of room: {text}; free some, or ask for less",
            metadata={"engine": engine, "engine_message": text},
        )


class RegistryDeniedError(ProaError):
    """The registry refused the credentials, or wants some."""

    reason = Reason.REGISTRY_DENIED

    def __init__(self, registry: str, text: str) -> None:
        super().__init__(
            f"the registry {registry or 'of the image'} refused: {text}; use LoginRegistry",
            metadata={"registry": registry, "engine_message": text},
        )
