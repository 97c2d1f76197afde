"""Errors of the request itself."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from proad.errors.redaction import redacted
from proad.errors.root import ProaError, Reason

# Maximum length of the candidates in an error; a truncated candidate would be useless.
_CANDIDATES_BYTES = 360


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """An invalid field of a request: its path in the message, and the cause."""

    field: str
    description: str


class InvalidArgumentError(ProaError):
    """Fields of the request are missing or invalid."""

    reason = Reason.INVALID_ARGUMENT

    def __init__(
        self, violations: Sequence[FieldViolation], metadata: dict[str, str] | None = None
    ) -> None:
        text = "; ".join(
            f"{v.field}: {v.description}" if v.field else v.description for v in violations
        )
        super().__init__(text, metadata=metadata)
        self.violations = tuple(
            replace(violation, description=redacted(violation.description))
            for violation in violations
        )

    @classmethod
    def of(cls, field: str, description: str) -> "InvalidArgumentError":
        """Return the error of one invalid field."""
        return cls([FieldViolation(field, description)])

    @classmethod
    def of_program(cls, description: str, *, is_there: bool) -> "InvalidArgumentError":
        """Return the error of a command whose program cannot be executed, or is not there.

        The exit code that a shell has for that is in the metadata.
        """
        violation = FieldViolation("command.argv", description)
        return cls([violation], {"exit_code": "126" if is_there else "127"})


class AmbiguousIdError(ProaError):
    """The id matches several resources.

    Args:
        ref: the id in the request.
        candidates: their paths; the error contains as many as fit.
        of: the number of matches; by default that of the candidates.
    """

    reason = Reason.AMBIGUOUS_ID

    def __init__(self, ref: str, candidates: Sequence[str], *, of: int = 0) -> None:
        room = list(accumulate(len(one.encode()) + 2 for one in candidates))
        told = candidates[: max(1, bisect_right(room, _CANDIDATES_BYTES))]
        more = max(of, len(candidates)) - len(told)
        super().__init__(
            f"{ref!r} could be {', '.join(told)}{f', or {more} more' if more else ''}; "
            "give the full id, or one of these",
            metadata={"id": ref, "candidates": ",".join(told)},
        )


class PageTokenInvalidError(ProaError):
    """The page token is not one of this request."""

    reason = Reason.PAGE_TOKEN_INVALID

    def __init__(self) -> None:
        super().__init__(
            "page_token is not one that was given for this request; "
            "start again without it and leave all other fields the same"
        )


class EtagMismatchError(ProaError):
    """The resource has changed since its etag was read."""

    reason = Reason.ETAG_MISMATCH

    def __init__(self, name: str, *, current: str) -> None:
        super().__init__(
            f"{name!r} changed since that etag was read; read it again and decide anew",
            metadata={"name": name, "etag": current},
        )


class RevisionCompactedError(ProaError):
    """A watch cannot resume at its token: the changes since are no longer kept."""

    reason = Reason.REVISION_COMPACTED

    def __init__(self) -> None:
        super().__init__(
            "what happened since that resume_token is not kept any more; "
            "watch again without it, which begins with the present state"
        )


class AlreadyExistsError(ProaError):
    """The name or the id is in use."""

    reason = Reason.ALREADY_EXISTS

    def __init__(
        self, what: str, name: str, *, existing_id: str = "", hint: str = "choose another name"
    ) -> None:
        metadata = {what: name}
        if existing_id:
            metadata["existing_id"] = existing_id
        super().__init__(
            f"a {what} {name!r} exists already; {hint}, or use that one", metadata=metadata
        )
        self.what = what
        self.name = name

    def concealed(self) -> "AlreadyExistsError":
        """Return the error without what has the name: neither its id nor its state."""
        concealed = AlreadyExistsError(self.what, self.name)
        concealed.metadata = self.metadata | concealed.metadata
        concealed.metadata.pop("existing_id", None)
        return concealed

    @classmethod
    def of_a_file(cls, path: str) -> "AlreadyExistsError":
        """Return the error of a file that is in the way of another one."""
        return cls("file", path, hint="set overwrite to put another in its place")

    @classmethod
    def of_an_id(cls, what: str, id: str) -> "AlreadyExistsError":
        """Return the error of an id that is in use, independent of names."""
        return cls(what, id, existing_id=id, hint="give another UUID or none")
