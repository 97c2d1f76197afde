"""The legal verbs of each state, and the errors of illegal ones."""

from collections.abc import Collection, Mapping

from proad.errors import (
    ResourceAlreadyRunningError,
    ResourceNotRunningError,
    ResourceRunningError,
    StateError,
)
from proad.model.resource import Resource, ResourceKind, ResourceState, Verb

_S = ResourceState

# A resource in an unknown state may be running.
ACTIVE = frozenset({_S.STARTING, _S.RUNNING, _S.PAUSED, _S.SUSPENDED, _S.STOPPING, _S.OTHER})
INACTIVE = frozenset({_S.STOPPED, _S.SAVED, _S.FAILED})

_LEGAL: Mapping[Verb, frozenset[ResourceState]] = {
    # A start resumes PAUSED and SUSPENDED resources.
    Verb.START: INACTIVE | {_S.PAUSED, _S.SUSPENDED},
    # A container that Docker keeps restarting, and a guest that hangs in its shutdown, must
    # be stoppable.
    Verb.STOP: frozenset({_S.STARTING, _S.RUNNING, _S.PAUSED, _S.SUSPENDED, _S.STOPPING}),
    Verb.RESTART: frozenset({_S.RUNNING}),
    Verb.PAUSE: frozenset({_S.RUNNING}),
    Verb.RESUME: frozenset({_S.PAUSED, _S.SUSPENDED}),
    Verb.DELETE: INACTIVE,
    Verb.UPDATE: INACTIVE | {_S.RUNNING, _S.PAUSED, _S.SUSPENDED, _S.STARTING},
    Verb.CREATE_SNAPSHOT: frozenset({_S.RUNNING, _S.PAUSED, _S.STOPPED, _S.FAILED}),
    Verb.REVERT_SNAPSHOT: INACTIVE | {_S.RUNNING, _S.PAUSED},
    Verb.DELETE_SNAPSHOT: INACTIVE | {_S.RUNNING, _S.PAUSED, _S.SUSPENDED},
    Verb.RECREATE: INACTIVE | {_S.RUNNING, _S.STARTING},
}
# In an unknown state, the engine decides what is legal.
LEGAL = {verb: states | {_S.OTHER} for verb, states in _LEGAL.items()}

PROTECTED_FROM = frozenset({Verb.DELETE, Verb.RECREATE})
"""The verbs that deletion protection refuses."""

_NOTHING = "there is nothing to do"
_CONTAINERS_ONLY = frozenset({Verb.RECREATE})
_DOMAINS_ONLY = frozenset({Verb.CREATE_SNAPSHOT, Verb.REVERT_SNAPSHOT, Verb.DELETE_SNAPSHOT})


def allowed_verbs(
    kind: ResourceKind, state: ResourceState, *, but: Collection[Verb] = ()
) -> tuple[Verb, ...]:
    """Return the verbs that are legal in `state`, in the order of `Verb`.

    `but` contains the verbs that the resource excludes for a reason of its own.
    """
    return tuple(
        verb
        for verb, states in LEGAL.items()
        if state in states
        and verb not in but
        and verb not in (_CONTAINERS_ONLY if kind is ResourceKind.DOMAIN else _DOMAINS_ONLY)
    )


def verbs_of(seen: Resource) -> tuple[Verb, ...]:
    """Return the legal verbs of a resource as its driver returned it."""
    return seen.allowed_verbs or allowed_verbs(seen.kind, seen.state)


def refusal(verb: Verb, resource: Resource, *, force: bool = False) -> StateError | None:
    """Return the error of an illegal verb; None for a legal one.

    `force` makes DELETE of an active resource legal.
    """
    state = resource.state
    if state in LEGAL[verb] or (force and verb is Verb.DELETE and state in ACTIVE):
        return None
    error: type[StateError]
    if verb is Verb.START and state in {_S.RUNNING, _S.STARTING}:
        error = ResourceAlreadyRunningError
    elif verb is Verb.DELETE and state in ACTIVE:
        error = ResourceRunningError
    elif state in INACTIVE:
        error = ResourceNotRunningError
    else:
        error = StateError
    return error(
        id=resource.id,
        name=resource.name,
        state=state,
        verb=verb,
        allowed_verbs=verbs_of(resource),
        hint=_hint(verb, resource),
    )


def entering_refusal(resource: Resource) -> StateError | None:
    """Return the error of who would work inside a resource; None: it is RUNNING."""
    state = resource.state
    if state in {_S.RUNNING, _S.OTHER}:
        return None
    error = ResourceNotRunningError if state in INACTIVE else StateError
    return error(
        id=resource.id,
        name=resource.name,
        state=state,
        verb="ENTER",
        allowed_verbs=verbs_of(resource),
        hint=_hint(None, resource),
    )


def run_over(resource: Resource) -> StateError:
    """Return the error of who worked inside a run of a resource that has ended.

    The resource may run again by now.
    """
    return ResourceNotRunningError(
        id=resource.id,
        name=resource.name,
        state=_S.STOPPED,
        verb="ENTER",
        allowed_verbs=(Verb.START,),
        hint="it has ended, or was started anew, meanwhile; enter again once it runs",
    )


def _hint(verb: Verb | None, resource: Resource) -> str:
    """Return a hint what to do instead of an illegal verb, or before it."""
    match verb, resource.state:
        case _, _S.REMOVING:
            hint = "it is being removed"
        case Verb.START, _S.RUNNING if resource.kind is ResourceKind.DOMAIN:
            hint = f"{_NOTHING}, and RevertSnapshot takes it to a snapshot"
        case (
            (Verb.START, _S.RUNNING | _S.STARTING)
            | (Verb.PAUSE, _S.PAUSED)
            | (Verb.RESUME, _S.RUNNING)
        ):
            hint = _NOTHING
        case Verb.STOP, state if state in INACTIVE:
            hint = f"it does not run, so that {_NOTHING}"
        case Verb.DELETE, _:
            hint = "stop it first, or set force"
        case Verb.RESTART | Verb.RESUME, state if state in INACTIVE:
            hint = "start it instead"
        case _, state if state in INACTIVE:
            hint = "start it first"
        case _, _S.PAUSED | _S.SUSPENDED:
            hint = "resume it first"
        case _:
            hint = "wait until that has ended"
    return hint
