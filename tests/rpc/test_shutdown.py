"""How a daemon stops: it reports NOT_SERVING, finishes calls, and refuses new ones."""

import asyncio
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2

import grpc_services
from eventually import consistently, eventually
from proa import v1
from proad.drivers.memory import MemoryDriver
from rpc.daemon import BOTH, IMAGE, RPCS, refusal, running
from rpc.exec_session import Session, command

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVING = health_pb2.HealthCheckResponse.SERVING
DEAF = {"proa.memory/ignores-stop": "true"}
AT_ONCE = 15  # seconds: half of the longest patience here, however slow the machine is


class Held(MemoryDriver):
    """Blocks pauses and creates until released."""

    def __init__(self):
        super().__init__()
        self.let_go = asyncio.Event()
        self.entered = asyncio.Event()

    async def _hold(self):
        self.entered.set()
        await self.let_go.wait()

    async def pause(self, id, **options):
        await self._hold()
        return await super().pause(id, **options)

    async def create_container(self, spec, **options):
        if spec.name == "slow":
            await self._hold()
        return await super().create_container(spec, **options)


class Stopping:
    """A daemon whose shutdown the test begins."""

    def __init__(self, settings, driver):
        self._context = running(settings, [("local", driver)])
        self._over = None

    async def __aenter__(self):
        self.daemon = await self._context.__aenter__()
        # The daemon closes its own channel before it stops; this channel observes the end.
        self.daemon.channel = grpc.aio.insecure_channel(self.daemon.address)
        return self

    async def __aexit__(self, *_):
        await self.over()
        await self.daemon.channel.close()

    def begin(self):
        """Begin to stop, as SIGTERM does, and return the future of the end."""
        if self._over is None:
            self._over = asyncio.ensure_future(self._context.__aexit__(None, None, None))
        return self._over

    async def over(self):
        await asyncio.shield(self.begin())

    @property
    def is_over(self):
        return self._over is not None and self._over.done()


@pytest.fixture
def held():
    return Held()


@pytest.fixture
async def stopping(settings, held):
    async with Stopping(settings(drain_timeout="30s"), held) as stopping:
        yield stopping


async def refuses(daemon):
    """Wait until new calls are refused."""

    async def refused():
        try:
            await daemon.call("GetCaller")
        except grpc.aio.AioRpcError:
            return True
        return False

    await eventually(refused)


async def not_serving(daemon):
    """Wait until the health is NOT_SERVING."""
    stub = grpc_services.health(daemon.channel)

    async def logged():
        return (await stub.Check(health_pb2.HealthCheckRequest())).status == NOT_SERVING

    await eventually(logged)


async def paused(daemon, held):
    """A pause that is under way in the driver."""
    await daemon.container("web")
    call = asyncio.ensure_future(daemon.call("PauseResource", id="web"))
    await asyncio.wait_for(held.entered.wait(), 30)
    return call


async def test_shutdown_idle_daemon_stops_at_once(settings):
    async with Stopping(settings(drain_timeout="30s"), MemoryDriver()) as stopping:
        began = time.monotonic()
        await stopping.over()

    assert time.monotonic() - began < AT_ONCE


async def test_shutdown_finishes_calls_in_flight_and_refuses_new_ones(stopping, held):
    daemon = stopping.daemon
    pause = await paused(daemon, held)

    stopping.begin()
    await refuses(daemon)

    for name in ("ListResources", "CreateToken", "PullImage"):
        rpc = RPCS[name]
        call = daemon.send(rpc, rpc.request(), token=daemon.token(*BOTH))
        refused = await refusal(call.read() if rpc.streams else call)
        assert (refused.code, refused.reason) == ("UNAVAILABLE", "SHUTTING_DOWN")
        assert refused.retry_after == 2
    assert not stopping.is_over
    held.let_go.set()
    assert (await pause).resource.state == v1.RESOURCE_STATE_PAUSED
    await asyncio.wait_for(stopping.over(), AT_ONCE)


async def test_shutdown_health_is_not_serving_while_calls_end(stopping, held):
    daemon = stopping.daemon
    stub = grpc_services.health(daemon.channel)
    pause = await paused(daemon, held)
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="proa.v1.ResourceService"))
    assert (await watch.read()).status == SERVING

    stopping.begin()

    assert (await asyncio.wait_for(watch.read(), AT_ONCE)).status == NOT_SERVING
    for service in ("", "proa.v1.ResourceService", "proa.v1.AuthService"):
        request = health_pb2.HealthCheckRequest(service=service)
        assert (await stub.Check(request)).status == NOT_SERVING
    assert not pause.done()
    held.let_go.set()
    await pause


async def test_shutdown_health_stays_not_serving_whatever_the_engines_do(stopping, held):
    daemon = stopping.daemon
    pause = await paused(daemon, held)
    stopping.begin()
    await not_serving(daemon)
    health = grpc_services.health(daemon.channel)

    async def still_not_serving():
        return (await health.Check(health_pb2.HealthCheckRequest())).status == NOT_SERVING

    await consistently(still_not_serving, during=0.3)
    held.let_go.set()
    await pause


async def test_shutdown_does_not_wait_for_health_watches(settings):
    async with Stopping(settings(drain_timeout="30s"), MemoryDriver()) as stopping:
        stub = grpc_services.health(stopping.daemon.channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(3)]
        for watch in watches:
            assert (await watch.read()).status == SERVING
        began = time.monotonic()
        await stopping.over()

    assert time.monotonic() - began < AT_ONCE


async def test_shutdown_ends_streams_of_requests_and_their_commands(settings):
    driver = MemoryDriver()
    async with Stopping(settings(drain_timeout="30s"), driver) as stopping:
        await stopping.daemon.container("web")
        session = await Session.begun(stopping.daemon, id="web", command=command("sleep", "600"))
        stopping.begin()

        assert (await asyncio.wait_for(session.refused(), AT_ONCE)).reason == "SHUTTING_DOWN"
    assert not driver.commands.under_way


async def test_shutdown_call_that_takes_too_long_is_cut_off_within_drain_timeout(settings, held):
    async with Stopping(settings(drain_timeout="3s"), held) as stopping:
        pause = await paused(stopping.daemon, held)
        began = time.monotonic()

        await stopping.over()

        assert 2.9 < time.monotonic() - began < 6  # not one for the calls and one for the changes
        assert (await refusal(pause)).code == "UNAVAILABLE"


async def test_shutdown_waits_for_a_change_whose_caller_is_gone(stopping, held):
    daemon = stopping.daemon
    request = {"spec": {"image": IMAGE, "name": "slow"}}
    create = asyncio.ensure_future(daemon.call("CreateContainer", **request))
    await asyncio.wait_for(held.entered.wait(), 30)
    create.cancel()

    stopping.begin()
    await consistently(lambda: not stopping.is_over, during=0.3)
    held.let_go.set()
    await asyncio.wait_for(stopping.over(), AT_ONCE)

    assert [resource.name for resource in await held.list_resources()] == ["slow"]


async def test_shutdown_cuts_off_a_long_graceful_stop(settings):
    driver = MemoryDriver()
    async with Stopping(settings(drain_timeout="0.3s"), driver) as stopping:
        vm = await stopping.daemon.domain("vm", labels=DEAF)
        stop = asyncio.ensure_future(stopping.daemon.call("StopResource", id="vm"))
        await stopping.daemon.under_way("vm")
        began = time.monotonic()
        await stopping.over()

    assert time.monotonic() - began < AT_ONCE  # its grace is of 60
    assert (await driver.get_resource(vm.id)).state == "RUNNING"
    assert (await refusal(stop)).code == "UNAVAILABLE"
