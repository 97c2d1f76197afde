"""The engine cannot, will not or does not answer."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Self

from proad.errors.redaction import redacted
from proad.errors.root import ProaError, Reason


class EngineConflictError(ProaError):
    """The engine refused; its own text is passed on.

    `retry_after` is set where the same call may succeed when it is made again, and `hint`
    where it is known what helps.
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


# Characters of all causes in one message.
_CAUSES = 400


class EngineUnreachableError(ProaError):
    """The engine does not answer.

    Attributes:
        engine: its name.
        cause: what is known of why, without the rest of the message.
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
        """Return one error that names all engines that do not answer; there is one at least."""
        first, *others = errors
        if not others:
            return first
        together = cls(first.engine, first.cause, others=others)
        hosts = dict.fromkeys(e.metadata["host"] for e in errors if "host" in e.metadata)
        return together.on(",".join(hosts))

    def on(self, host: str) -> Self:
        """Name the host of the engine."""
        self.metadata["host"] = host
        return self


class DatabaseUnreachableError(ProaError):
    """The daemon's database does not answer. The reason is in the log, not in the text."""

    reason = Reason.DATABASE_UNREACHABLE

    def __init__(self) -> None:
        super().__init__(
            "the daemon cannot reach its database; nothing was done: try again, or see its log",
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

    def __init__(self, registry: str, text: str, *, advice: str) -> None:
        super().__init__(
            f"the registry {registry} refused: {text}; {advice}",
            metadata={"registry": registry},
        )


class RegistryUnreachableError(ProaError):
    """The registry does not answer, or cannot at the moment. The engine does."""

    reason = Reason.REGISTRY_UNREACHABLE

    def __init__(self, registry: str, text: str, *, hint: str = "") -> None:
        super().__init__(
            f"{text}: {registry}; try again later{f', or {hint}' if hint else ''}",
            metadata={"registry": registry},
            retry_after=timedelta(seconds=10),
        )
