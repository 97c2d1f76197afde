"""A row of the table of refusals."""

import re
from dataclasses import dataclass
from enum import Enum
from functools import partial
from http import HTTPStatus

EVERY_VERSION = ("20.10", "26.1", "28.5")
BAD = frozenset({HTTPStatus.BAD_REQUEST})
FAULT = frozenset({HTTPStatus.INTERNAL_SERVER_ERROR})
BAD_OR_FAULT = BAD | FAULT
CONFLICT = frozenset({HTTPStatus.CONFLICT})
MISSING = frozenset({HTTPStatus.NOT_FOUND})


class RefusalMeaning(Enum):
    """The meaning of a refusal, by its reason in the contract."""

    WRONG = "INVALID_ARGUMENT"
    TAKEN = "IN_USE"
    PASSING = "ENGINE_CONFLICT (ABORTED)"
    CONFLICT = "ENGINE_CONFLICT"
    EXHAUSTED = "HOST_EXHAUSTED"
    MISSING = "IMAGE_NOT_FOUND"
    UNREACHABLE = "REGISTRY_UNREACHABLE"


@dataclass(frozen=True, slots=True)
class DockerRefusal:
    """A row of the table.

    Attributes:
        name: what is wrong, in a few words.
        meaning: what becomes of it.
        statuses: the HTTP statuses that the engine refuses with.
        pattern: the part of the engine's text that tells; its group `value` is the value
            that the engine names.
        fields: of WRONG, the fields of a ContainerSpec that may be to blame, the likeliest
            first; "[]" stands for the element that has the value. Of an update, too, where
            it has the field.
        advice: what to do.
        seen: the versions of Docker whose text this is; none where it is the kernel's, and
            nothing provokes it safely.
    """

    name: str
    meaning: RefusalMeaning
    statuses: frozenset[HTTPStatus]
    pattern: re.Pattern[str]
    fields: tuple[str, ...] = ()
    advice: str = ""
    seen: tuple[str, ...] = EVERY_VERSION


def row(
    meaning: RefusalMeaning,
    name: str,
    statuses: frozenset[HTTPStatus],
    pattern: str,
    *fields: str,
    advice: str = "",
    seen: tuple[str, ...] = EVERY_VERSION,
) -> DockerRefusal:
    """Return a row, its pattern compiled."""
    return DockerRefusal(name, meaning, statuses, re.compile(pattern), fields, advice, seen)


wrong = partial(row, RefusalMeaning.WRONG)
