"""Verbs whose calls to the driver are functions of a test."""

from proad.core.gate import PolicyGate
from proad.core.hosts import Hosts
from proad.core.resolver import Resolver
from proad.core.shielded_tasks import ShieldedTasks
from proad.core.verb_runner import VerbRunner, VerbTiming, verb_method
from proad.model import Updated, Verb
from relaxed_policy import RELAXED_POLICY


class VerbCaller:
    """Calls verbs on resolved resources as the services of the core do."""

    def __init__(self, inventory, connection, timing=VerbTiming()):
        resolver = Resolver(Hosts(["local"], [connection]), inventory)
        gate = PolicyGate(RELAXED_POLICY, inventory)
        self._verbs = VerbRunner(resolver, inventory, ShieldedTasks(), gate, timing)

    @verb_method
    async def transition(self, verb, resolved, act, *, force=False):
        """Run a verb that takes a resource to another state."""
        async with self._verbs.run(resolved, verb, force=force) as run:
            run.observed = await act(run.entry.observed, run.on_step)
        return run.resource

    @verb_method
    async def do(self, verb, resolved, act, *, etag=""):
        """Run a verb after which the resource is read again."""
        async with self._verbs.run(resolved, verb, etag=etag) as run:
            done = await act(run.id, run.on_step)
            if isinstance(done, Updated):
                run.detail = done.resource
        return done

    @verb_method
    async def delete(self, resolved, act, *, force=False, etag=""):
        """Delete a resource."""
        async with self._verbs.run(resolved, Verb.DELETE, force=force, etag=etag) as run:
            run.observed = await act(run.id, run.on_step)
        return run.resource
