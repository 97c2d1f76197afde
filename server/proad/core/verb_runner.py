"""The procedure of every verb on a resource, from permission to the inventory."""

import asyncio
from asyncio import CancelledError
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from proad.core.engine_connection import EngineConnection
from proad.core.gate import PolicyGate
from proad.core.inventory import Entry, Inventory
from proad.core.keyed_lock import KeyedLock
from proad.core.requests import (
    announce,
    cancellable,
    is_only_checked,
    noting,
    refuse,
    witnessed,
)
from proad.core.resolver import ResolvedResource, Resolver
from proad.core.shielded_tasks import ShieldedTasks
from proad.core.tenancy import current_visibility
from proad.errors import (
    DeletionProtectedError,
    EngineTimedOutError,
    EngineUnreachableError,
    EtagMismatchError,
    ProaError,
    ResourceNotFoundError,
    StateError,
)
from proad.model import (
    ACTIVE,
    PROTECTED_FROM,
    Action,
    Intent,
    Lifetime,
    Resource,
    ResourceState,
    Verb,
    refusal,
)
from proad.ports import Driver, OnStep, ignore

# The state in which a verb leaves its resource, where that tells that the verb was done.
_WANTED = {
    Verb.START: ResourceState.RUNNING,
    Verb.STOP: ResourceState.STOPPED,
    Verb.PAUSE: ResourceState.PAUSED,
    Verb.RESUME: ResourceState.RUNNING,
}

Prepare = Callable[[Entry], Awaitable[None]]


async def _prepared(entry: Entry) -> None:
    """Check nothing: the verb has no check of its own."""


P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbTiming:
    """Durations of verbs, in seconds.

    Attributes:
        lock_patience: how long a verb waits for the verbs before it on its resource.
        refresh_within: how long the answer of a failed verb waits for a refresh that shows
            what became of the resource.
    """

    lock_patience: float = 5.0
    refresh_within: float = 1.0


def _nothing(entry: Entry) -> AbstractContextManager[None]:  # noqa: ARG001 - as `reserve` has it
    """Reserve nothing: the verb adds nothing."""
    return nullcontext()


class SupersededError(ResourceNotFoundError):
    """The resource has gone, and its name is another resource's by now."""


@dataclass(slots=True, eq=False)
class VerbRun:
    """A verb under way on a resource.

    The block that runs the verb calls `driver` and sets `observed` to what a start, stop,
    restart, pause, resume or delete returned; after any other verb the resource is read again.

    Attributes:
        verb: the verb.
        connection: the connection to the engine that has the resource.
        entry: the resource in the inventory.
        on_step: takes the steps of the verb.
        alone: whether the verb holds the lock alone; otherwise it goes beside a graceful stop.
        begun: the number of the verb in the inventory's clock.
        intent: what the verb is about to change.
        observed: the resource after the verb, or as it last was, as its driver gave it.
        detail: the FULL view after the verb, as its driver gave it.
        last: the resource as it last was, if it has gone.
    """

    verb: Verb
    connection: EngineConnection
    entry: Entry
    on_step: OnStep
    alone: bool
    begun: int
    intent: Intent
    observed: Resource | None = None
    detail: Resource | None = None
    last: Resource | None = None

    @property
    def id(self) -> str:
        """The full id of the resource."""
        return self.entry.observed.id

    @property
    def driver(self) -> Driver:
        """The driver of the engine that has the resource."""
        return self.connection.driver

    async def begin(self) -> None:
        """End a verb that is only checked: its driver has no more checks."""
        if is_only_checked():
            await announce(self.intent)

    @property
    def resource(self) -> Resource:
        """The SUMMARY of the resource after the verb, or the resource as it last was."""
        return self.last or self.entry.published


class VerbRunner:
    """Runs verbs on resources.

    A verb waits for the verbs before it on the same resource, is refused if it is illegal now,
    and, once its driver is called, goes to its end though its caller goes away. When the verb
    returns or fails the inventory is up to date, unless the engine does not answer.

    Args:
        resolver: finds the resource that has a name when the one before has gone.
        inventory: the inventory.
        tasks: the tasks that verbs run in; see `verb_method`.
        gate: judges what a verb lends its caller.
        timing: durations.
    """

    def __init__(
        self,
        resolver: Resolver,
        inventory: Inventory,
        tasks: ShieldedTasks,
        gate: PolicyGate,
        timing: VerbTiming = VerbTiming(),
    ) -> None:
        self.tasks = tasks
        self._resolver = resolver
        self._inventory = inventory
        self._gate = gate
        self._timing = timing
        self._lock = KeyedLock(timing.lock_patience)

    @asynccontextmanager
    async def run(
        self,
        resolved: ResolvedResource,
        verb: Verb,
        *,
        force: bool = False,
        etag: str = "",
        wanted: ResourceState | None = None,
        name: str = "",
        changes: tuple[tuple[str, str], ...] = (),
        announces: bool = True,
        checked_by_driver: bool = False,
        waits: bool = False,
        reserve: Callable[[Entry], AbstractContextManager[None]] = _nothing,
        prepare: Prepare = _prepared,
    ) -> AsyncIterator[VerbRun]:
        """Run a verb whose calls to the driver are the block.

        Args:
            resolved: the resource.
            verb: decides in which states the verb is legal.
            force: whether the verb goes by force, and so preempts a graceful one.
            etag: the etag that the resource must still have; empty: any.
            wanted: the state in which the verb leaves the resource; None: what the verb implies.
            name: name of the snapshot that the verb is about.
            changes: the paths that an update changes, each with a digest of its new value.
            announces: whether to announce the verb to the current request. Otherwise the
                block announces its `intent`, since only the driver knows all of it.
            checked_by_driver: whether the driver has checks of its own, after which it awaits
                `VerbRun.begin`; a verb that is only checked goes that far.
            waits: whether the verb waits for a guest, so that its caller may end it.
            reserve: reserves what the verb adds to the quotas, until its end.
            prepare: the last check before the verb is announced, of the resource as it is now.

        Raises:
            StateError: the verb is not legal now. The block is not entered.
            EtagMismatchError: the resource has another etag. The block is not entered.
            DeletionProtectedError: the resource is protected. The block is not entered.
            PolicyDeniedError: the caller's profile denies it. The block is not entered.
            ActivityInProgressError: verbs before took too long, or one preempted this verb.
            SupersededError: the resource has gone, and its name is another's.
            ResourceNotFoundError: the resource has gone.
        """
        connection, resource = resolved.connection, resolved.resource
        intent = Intent(
            action=Action(verb),
            host=connection.ref.host,
            driver=connection.ref.driver,
            id=resource.id,
            path=resource.path,
            wanted=wanted or _WANTED.get(verb),
            name=name,
            changes=changes,
        )
        try:
            async with (
                self._lock_for(resolved, verb, force=force, etag=etag) as alone,
                AsyncExitStack() as stack,
            ):
                entry = await self._permit(resolved, verb, force=force, etag=etag)
                connection.check()
                await self._gate.check_entry(connection, entry, verb, snapshot=name)
                with noting():
                    await prepare(entry)
                with noting():
                    stack.enter_context(reserve(entry))
                self.tasks.shield()
                checked = is_only_checked()
                if announces and not (checked and checked_by_driver):
                    await announce(intent)
                else:
                    await witnessed()  # the driver is called before it announces
                # Beside a graceful stop, the activity that shows is the stop's.
                shows = alone and not checked
                activity = self._inventory.activity(entry, verb) if shows else nullcontext(ignore)
                with activity as on_step:
                    begun = self._inventory.begin()
                    run = VerbRun(verb, connection, entry, on_step, alone, begun, intent)
                    try:
                        with connection.call(), cancellable() if waits else nullcontext():
                            yield run
                        if not checked:
                            await self._apply(run)
                    except (Exception, CancelledError) as error:
                        await self._fail(run, error)
                        raise
        except ResourceNotFoundError as error:
            if await self._resolver.find_successor(resolved) is None:
                raise
            raise SupersededError(error.name) from error
        except ProaError as error:
            error.metadata["path"] = resource.path
            raise

    @asynccontextmanager
    async def _lock_for(
        self, resolved: ResolvedResource, verb: Verb, *, force: bool, etag: str
    ) -> AsyncIterator[bool]:
        """Hold the lock of a resource for a verb; see `KeyedLock.hold`.

        A verb that takes the lock by force may end the one that has it. So what refuses the verb
        whatever becomes of that one is checked before, and a check goes without the lock.
        """
        connection, resource = resolved.connection, resolved.resource
        if force:
            connection.check()
            entry = self._inventory.entry(connection, resource.id)
            if etag:
                entry = await self._inventory.refresh(connection, resource.id, reconfigured=True)
            if entry is not None:
                _check_etag(etag, entry)
                _check_protection(verb, entry)
                await self._gate.check_entry(connection, entry, verb)
            if is_only_checked():
                yield False
                return
            await witnessed()
        async with self._lock.hold(resource.path, resource.name, verb, preempt=force) as alone:
            yield alone

    async def _permit(
        self, resolved: ResolvedResource, verb: Verb, *, force: bool, etag: str
    ) -> Entry:
        """Return the entry of the resource, or refuse the verb."""
        connection, id = resolved.connection, resolved.resource.id
        entry = self._inventory.entry(connection, id)
        if entry is not None and not current_visibility().shows(entry.published):
            raise ResourceNotFoundError(resolved.resource.name)  # handed over meanwhile
        if entry is not None and not etag and refusal(verb, entry.observed, force=force) is None:
            _check_protection(verb, entry)
            return entry
        # The engine may be ahead of its own events: refuse nothing without a refresh.
        entry = await self._inventory.refresh(connection, id, reconfigured=bool(etag))
        if entry is None:
            raise ResourceNotFoundError(resolved.resource.name)
        if error := refusal(verb, entry.observed, force=force):
            _refuse(error, entry)
        _check_etag(etag, entry)
        _check_protection(verb, entry)
        return entry

    async def _apply(self, run: VerbRun) -> None:
        """Apply the result of a verb to the inventory. This is the only place that does."""
        inventory, connection, entry = self._inventory, run.connection, run.entry
        if run.observed is None:
            await inventory.finish_change(connection, entry, run.begun, run.detail)
            return
        observed = run.observed
        transient = observed.lifetime is Lifetime.TRANSIENT and observed.state not in ACTIVE
        if inventory.entry(connection, run.id) is not entry:
            pass  # it went during the verb, and another resource may have come under its id
        elif run.verb is Verb.DELETE or transient:
            inventory.remove(connection, run.id)
        else:
            await inventory.finish(connection, entry, observed, run.begun, ends_activity=run.alone)
        if inventory.entry(connection, run.id) is not entry:
            run.last = replace(entry.completed(observed), activity=None, allowed_verbs=())

    async def _fail(self, run: VerbRun, error: Exception | CancelledError) -> None:
        """Refresh the resource of a verb that failed, before its caller hears of the failure."""
        if is_only_checked():
            return  # nothing was changed
        if run.alone and isinstance(error, StateError | ResourceNotFoundError):
            # The driver did nothing, so what the refresh shows is not this verb's doing.
            self._inventory.end_activity(run.entry)
        self._inventory.mark_dirty(run.connection, run.id)
        if isinstance(error, EngineUnreachableError | EngineTimedOutError | CancelledError):
            return  # the engine would not answer, or nobody waits
        # The verb's own failure is reported, whatever the refresh meets.
        with suppress(Exception):
            async with asyncio.timeout(self._timing.refresh_within):
                await self._inventory.refresh(run.connection, run.id, reconfigured=True)


def _refuse(error: ProaError, entry: Entry) -> None:
    """Refuse a verb on a resource; see `refuse`."""
    error.metadata["path"] = entry.path
    refuse(error)


def _check_etag(etag: str, entry: Entry) -> None:
    """Refuse a verb on a resource that has another etag; an empty one stands for any."""
    if etag and etag != entry.published.etag:
        _refuse(EtagMismatchError(entry.observed.name, current=entry.published.etag), entry)


def _check_protection(verb: Verb, entry: Entry) -> None:
    """Refuse what a resource with deletion protection is protected from."""
    if verb in PROTECTED_FROM and entry.published.deletion_protection:
        _refuse(DeletionProtectedError(verb, entry.observed.name), entry)


class _HasVerbs(Protocol):
    _verbs: VerbRunner


S = TypeVar("S", bound=_HasVerbs)


def verb_method(
    method: Callable[Concatenate[S, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Run a method that runs a verb in a task that outlives its caller once the verb has begun.

    If the resource has gone and its name is another's, run the method once more: the name
    means that one now.
    """

    @wraps(method)
    async def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        tasks = self._verbs.tasks
        try:
            return await tasks.run(method(self, *args, **kwargs), shielded=False)
        except SupersededError:
            return await tasks.run(method(self, *args, **kwargs), shielded=False)

    return run
