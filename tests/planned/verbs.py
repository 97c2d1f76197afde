"""Random verbs, whether they are legal or not."""

import random

from planned.trial import Case
from proa import v1

_OF_STARTS = frozenset({"ENGINE_CONFLICT", "IN_USE", "INVALID_ARGUMENT"})
"""Why only the engine may refuse to start: a network, port or program that is not there."""


def verb(chance: random.Random, subject: str) -> Case:
    """Draw a verb on a resource, none of which waits for a guest."""
    requests = (
        v1.StartResourceRequest(id=subject),
        v1.StopResourceRequest(id=subject, mode=v1.STOP_MODE_FORCE),
        v1.RestartResourceRequest(id=subject, mode=v1.RESTART_MODE_FORCE),
        v1.PauseResourceRequest(id=subject),
        v1.ResumeResourceRequest(id=subject),
    )
    request = chance.choice(requests)
    method = type(request).__name__.removesuffix("Request")
    starts = method in {"StartResource", "RestartResource"}
    return Case(method, request, subject, _OF_STARTS if starts else frozenset())
