"""One request, checked and then made, and what both say and leave."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from google.rpc import error_details_pb2
from grpc_status import rpc_status

import proa
from proa import v1

_RECREATE = v1.CHANGE_EFFECT_RECREATE
_RESTART = v1.CHANGE_EFFECT_RESTART
_GUEST = frozenset({"memory_bytes", "vcpus"})
"""What a guest may not follow, so that it waits for the next start."""


@dataclass(frozen=True)
class Case:
    """A request to try.

    Attributes:
        method: the name of the method.
        request: the request.
        subject: name of the resource that it is about; empty: it makes one.
        unforeseen: the reasons why the engine may refuse it, which only the engine can know.
    """

    method: str
    request: Any
    subject: str = ""
    unforeseen: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Answer:
    """What a call was answered: a response, or the reason of its failure and all that is wrong."""

    response: Any = None
    reason: str = ""
    fields: tuple[str, ...] = ()
    faults: frozenset[tuple[str, str]] = frozenset()
    message: str = ""

    @classmethod
    def to(cls, call: Callable[[Any], Any], request: Any) -> "Answer":
        """Make a call, and return its answer."""
        try:
            return cls(response=call(request))
        except proa.Error as error:
            return cls(
                reason=error.reason,
                fields=tuple(each.field for each in error.violations),
                faults=frozenset(_faults(error)),
                message=error.message,
            )


def _faults(error: proa.Error) -> Any:
    status = rpc_status.from_call(error)  # type: ignore[arg-type] # has what it needs
    for packed in status.details if status is not None else ():
        failed = error_details_pb2.PreconditionFailure()
        if packed.Unpack(failed):
            yield from ((each.type, each.subject) for each in failed.violations)


@dataclass
class Trials:
    """Tries cases by a client, and counts how they ended."""

    client: proa.Client
    prefix: str
    ended: Counter[str] = field(default_factory=Counter)

    def call(self, method: str) -> Callable[[Any], Any]:
        """Return the method of that name."""
        client = self.client
        stubs = (client.resources, client.containers, client.domains, client.snapshots)
        found: Callable[[Any], Any] = next(
            getattr(stub, method) for stub in stubs if hasattr(stub, method)
        )
        return found

    def there(self) -> dict[str, Any]:
        """Return all that is named after the test, by name."""
        which = v1.ResourceFilter(name_prefix=self.prefix)
        found = self.client.list_resources(which, view=v1.RESOURCE_VIEW_FULL)
        return {each.name: _kept(each) for each in found}

    def run(self, case: Case) -> Answer:
        """Check a case, make its call, and compare; return the answer of the call."""
        call, before = self.call(case.method), self.there()
        checking = type(case.request)()
        checking.CopyFrom(case.request)
        checking.validate_only = True
        checked = Answer.to(call, checking)
        between = self.there()
        assert between == before, f"the check of {case} changed something"
        done = Answer.to(call, case.request)
        try:
            self._compare(case, checked, done, before)
        except AssertionError as error:
            raise AssertionError(f"{case}\nchecked: {checked}\ndone: {done}\n{error}") from error
        return done

    def _compare(self, case: Case, checked: Answer, done: Answer, before: dict[str, Any]) -> None:
        refused = checked.reason or ("CAPABILITY_MISSING" if _anew(case, checked) else "")
        if refused:
            assert done.reason == refused
            assert done.fields == checked.fields
            assert done.faults <= checked.faults | {(done.reason, "")}
        elif done.reason:
            plan = getattr(checked.response, "plan", None)
            if plan is not None:
                listed = {v1.ErrorReason.Name(each) for each in plan.may_fail}
                assert f"ERROR_REASON_{done.reason}" in listed
            assert done.reason in case.unforeseen
        if done.reason:
            assert self.there() == before
            self.ended[f"{'foreseen' if refused else 'unforeseen'} {done.reason}"] += 1
            return
        self.ended[f"{case.method} done"] += 1
        if case.method == "UpdateResource":
            self._check_update(case, checked, done, before)
        elif case.method == "RecreateContainer":
            planned = {each.field for each in checked.response.plan.changes}
            mask = set(case.request.update_mask.paths)
            name = case.request.spec.name if "name" in mask else case.subject
            old, new = before[case.subject], self.there()[name or case.subject]
            fields = _fields(old.container.spec) - _SWAP
            assert planned - _SWAP == _differing(old.container.spec, new.container.spec, fields)
        elif case.method == "CreateContainer":
            made, would = done.response.resource.container.spec, checked.response.plan.container
            assert [each.host_ip for each in made.ports] == [each.host_ip for each in would.ports]
            assert made.resources.pids_limit == would.resources.pids_limit
            assert made.allow_new_privileges == would.allow_new_privileges

    def _check_update(
        self, case: Case, checked: Answer, done: Answer, before: dict[str, Any]
    ) -> None:
        request, plan = case.request, checked.response.plan
        paths = set(request.update_mask.paths)
        assert {each.field for each in plan.changes} == paths
        late = {each.field for each in plan.changes if each.effect == _RESTART}
        assert late <= set(done.response.restart_required) <= late | (_GUEST & paths)
        wanted = request.container if request.HasField("container") else request.domain
        name = wanted.name if "name" in paths else case.subject
        old, new = _spec(before[case.subject]), _spec(self.there()[name])
        for path in paths:
            if path in {"labels", "deletion_protection"}:
                continue  # the resource shows them
            assert _at(new, path) == _at(wanted, path), path
        assert not _differing(old, new, _fields(old)) - paths - _SWAP


_SWAP = {"resources.memory_swap_bytes"}
"""What follows the memory of a container."""


def _anew(case: Case, checked: Answer) -> bool:
    """Return whether an update has a change for which the resource would be made again."""
    if case.method != "UpdateResource" or checked.response is None:
        return False
    return any(each.effect == _RECREATE for each in checked.response.plan.changes)


def _spec(resource: Any) -> Any:
    kind = "container" if resource.HasField("container") else "domain"
    return getattr(resource, kind).spec


def _at(spec: Any, path: str) -> Any:
    for name in path.split("."):
        spec = getattr(spec, name)
    return spec


def _fields(spec: Any) -> set[str]:
    """Return the paths of a specification, as an update names them."""
    names = set(spec.DESCRIPTOR.fields_by_name)
    if "resources" in names:
        limits = spec.resources.DESCRIPTOR.fields_by_name
        names = names - {"resources"} | {f"resources.{name}" for name in limits}
    return names


def _differing(old: Any, new: Any, paths: Collection[str]) -> set[str]:
    return {path for path in paths if _at(old, path) != _at(new, path)}


def _kept(resource: Any) -> Any:
    """Return of a resource what a call may change, without what changes by itself."""
    kept = v1.Resource(
        id=resource.id,
        name=resource.name,
        state=resource.state,
        labels=resource.labels,
        deletion_protection=resource.deletion_protection,
    )
    if resource.HasField("container"):
        kept.container.spec.CopyFrom(resource.container.spec)
    else:
        kept.domain.spec.CopyFrom(resource.domain.spec)
    return kept
