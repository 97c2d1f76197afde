"""One call that is killed at one point, and all that must hold afterwards."""

from dataclasses import dataclass, replace
from typing import Any, cast

import grpc

from eventually import wait_until
from kills.cases import Case, Stage
from kills.daemons import Daemons, new_id
from kills.killer import REPLY, Order
from kills.truth import Engines, Truth
from proa import v1
from proa.errors import EndedCall, error_of

# Of a daemon that died, of a call that was queued when it died.
_DEAD = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


@dataclass(frozen=True)
class Outcome:
    """The outcome of a call: its response, and the id of the resource in it, or its failure."""

    response: bytes = b""
    id: str = ""
    code: str = ""
    reason: str = ""
    effect: str = ""

    def is_like(self, other: "Outcome") -> bool:
        """Return whether both say the same of the same resource, in whichever view."""
        return replace(self, response=b"") == replace(other, response=b"")

    def __str__(self) -> str:
        return f"{self.reason} ({self.effect})" if self.code else "OK"


def call(daemons: Daemons, case: Case, request: Any) -> Outcome:
    """Make the call of a case once."""
    try:
        response = daemons.call(case.service, case.method, request)
    except grpc.RpcError as error:
        if error.code() in _DEAD:
            raise
        return outcome_of(error)
    return outcome_of(response)


def outcome_of(answer: Any) -> Outcome:
    """Return the outcome that a response, or the error of a call, is."""
    if isinstance(answer, grpc.RpcError):
        told = error_of(cast("EndedCall", answer))
        effect = told.metadata.get("effect", "")
        return Outcome(code=answer.code().name, reason=told.reason, effect=effect)
    id = answer.resource.id if hasattr(answer, "resource") else ""
    return Outcome(response=answer.SerializeToString(deterministic=True), id=id)


def trial(daemons: Daemons, engines: Engines, case: Case, order: Order, prefix: str) -> Outcome:
    """Have the daemon die in a call, and check what its heir tells, and what the engines have.

    A daemon must live when this is called, and one lives afterwards.
    """
    stage = Stage(daemons, engines, prefix)
    case.prepare(stage)
    before = engines.truth(prefix)
    request = case.request(stage)
    request.request_id = new_id()
    if order.point != REPLY:
        daemons.die_at(order)
    first = None
    try:
        first = call(daemons, case, request)
    except grpc.RpcError:
        daemons.wait_dead()
    else:
        daemons.kill()  # at REPLY, or since the call makes fewer calls to its engine
    daemons.start()
    outcome = call(daemons, case, request)
    # A reply has the FULL view, and what is kept for repetitions the SUMMARY.
    again, once_more = (call(daemons, case, request) for _ in range(2))
    assert again == once_more, (again, once_more)
    assert again.is_like(outcome), (again, outcome)
    assert first is None or first.is_like(outcome), (first, outcome)
    _check(case, stage, before, outcome)
    if outcome.code:
        _check_not_stuck(case, stage, case.after(before, prefix))
    _check_records(stage)
    _check_ended(daemons, request.request_id, outcome)
    return outcome


def _check(case: Case, stage: Stage, before: Truth, outcome: Outcome) -> None:
    done = case.after(before, stage.prefix)
    if not outcome.code:
        allowed = [done]
    else:
        assert outcome.reason == "INTERRUPTED", outcome
        allowed = [before]
        if outcome.effect == "unknown":
            allowed += [case.between(before), done]

    def holds() -> bool:  # an engine may still be at it, and removals come a moment later
        return stage.engines.truth(stage.prefix) in allowed

    wait_until(
        holds,
        lambda: (
            f"{outcome}: {dict(stage.engines.truth(stage.prefix))} is none of "
            f"{[dict(each) for each in allowed]}"
        ),
        within=20,
        every=0.05,
    )


def _check_records(stage: Stage) -> None:
    """Check that no record of a volume stays without a volume."""

    def stale() -> list[tuple[str, str]]:
        files = {file.name for file in stage.engines.pool_path.iterdir()}
        return [
            (name, state)
            for name, state in stage.daemons.volume_records()
            if name.startswith(stage.prefix) and name not in files
        ]

    # The comparison is made when the driver has connected.
    wait_until(lambda: not stale(), lambda: f"records without a volume: {stale()}", within=20)


def _check_not_stuck(case: Case, stage: Stage, done: Truth) -> None:
    """Make a call that was interrupted anew, and check that the call takes effect."""
    if stage.engines.truth(stage.prefix) == done:
        return
    request = case.request(stage)
    request.request_id = new_id()
    outcome = call(stage.daemons, case, request)
    assert not outcome.code, outcome
    wait_until(lambda: stage.engines.truth(stage.prefix) == done, "the call made anew is done")


def _check_ended(daemons: Daemons, id: str, outcome: Outcome) -> None:
    request = daemons.call("Operation", "GetRequest", v1.GetRequestRequest(request_id=id)).request
    state = v1.REQUEST_STATE_FAILED if outcome.code else v1.REQUEST_STATE_SUCCEEDED
    assert request.state == state, request
