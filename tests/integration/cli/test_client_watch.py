"""The client's watch on real daemons that die, and on engines that are changed externally."""

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import threading
import time
from typing import Any

import docker
import pytest

import proa
from eventually import wait_until
from proa import v1
from unit.client.watch_server import Replica, content

IMAGE = "proa-test/busybox:1"


class User(Replica):
    """A user who follows a client's watch in a thread."""

    def __init__(self, watch):
        super().__init__()
        self.events = []
        self.watch = watch
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        for event in self.watch:
            with self._news:
                self.apply(event)
                self.events.append(event)
                self._news.notify_all()

    def until(self, true, seconds=30):
        with self._news:
            assert self._news.wait_for(true, seconds), self.events

    def until_told(self, kind, count=1, seconds=30):
        self.until(lambda: self.kinds().count(kind.__name__) >= count, seconds)

    def until_agreed(self, client, **filter):
        """Wait until the replica equals a list."""

        def agreed():
            listed = client.list_resources(v1.ResourceFilter(**filter))
            return self.now == {one.id: content(one) for one in listed}

        wait_until(agreed, self.kinds)

    def kinds(self):
        return [type(event).__name__ for event in self.events]

    def changes(self, id):
        return [e for e in self.events if isinstance(e, proa.Change) and e.resource.id == id]

    def end(self):
        self.watch.close()
        self._thread.join(30)
        assert not self._thread.is_alive()


@pytest.fixture
def follow():
    with contextlib.ExitStack() as stack:

        def begin(client, *arguments, **settings):
            user = User(client.watch(*arguments, **settings))
            stack.callback(user.end)
            user.until_told(proa.Synced)
            return user

        yield begin


def create(client, name):
    for _ in client.images.PullImage(v1.PullImageRequest(image="debian:12")):
        pass
    spec = v1.ContainerSpec(image="debian:12", name=name, command=["sleep", "600"])
    request = v1.CreateContainerRequest(spec=spec, start=True)
    return client.containers.CreateContainer(request).resource


def pause(client, id):
    return client.resources.PauseResource(v1.PauseResourceRequest(id=id)).resource


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_watch_of_restarted_daemon_resumes(daemons, follow, end):
    daemon = daemons("--memory")
    with daemon.client() as client:
        user = follow(client)
        create(client, "one")
        user.until_agreed(client)
        daemon.stop(end)
        user.until_told(proa.Disconnected)
        daemon.start()
        # The memory driver's resources ended with the daemon.
        user.until_told(proa.Synced, 2)
        assert user.now == {}
        create(client, "two")
        user.until_agreed(client)
        assert user.now
        assert [kind for kind in user.kinds() if kind != "Change"] == [
            "Synced",
            "Disconnected",
            "Gap",
            "Reconnected",
            "Synced",
        ]


def test_watch_of_hung_daemon_reconnects(daemons, follow):
    daemon = daemons("--memory")
    with daemon.client() as client:
        user = follow(client, heartbeat=1)
        daemon.process.send_signal(signal.SIGSTOP)
        user.until_told(proa.Disconnected)
        daemon.process.send_signal(signal.SIGCONT)
        user.until_told(proa.Reconnected)
        create(client, "one")
        user.until_agreed(client)
        assert "Gap" not in user.kinds()


class Cable:
    """A proxy to a daemon whose connections can be cut."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self._to = (host, int(port))
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(self._to)
                self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    @staticmethod
    def _carry(one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self):
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._open.clear()

    def close(self):
        self._server.close()
        self.cut()


def test_watch_over_repeatedly_cut_connection_stays_complete(daemons, follow):
    daemon = daemons("--memory")
    with contextlib.closing(Cable(daemon.address)) as cable, daemon.client() as direct:
        token = direct.auth.CreateToken(
            v1.CreateTokenRequest(username="ada", password="correct horse")
        ).token
        with proa.connect(cable.address, token=token) as client:
            user = follow(client)
            container = create(direct, "one")
            for number in range(1, 6):
                cable.cut()
                pause(direct, container.id)
                direct.resources.ResumeResource(v1.ResumeResourceRequest(id=container.id))
                # At once rather than with the next heartbeat.
                user.until_told(proa.Reconnected, number, seconds=10)

            def steps():
                return [
                    (change.previous_state, change.resource.state)
                    for change in user.changes(container.id)
                    if change.previous_state not in {0, change.resource.state}
                ]

            user.until(lambda: len(steps()) >= 10)
            user.until_agreed(direct)
            running, paused = v1.RESOURCE_STATE_RUNNING, v1.RESOURCE_STATE_PAUSED
            # No step is missing or repeated.
            assert steps() == [(running, paused), (paused, running)] * 5
            assert user.kinds().count("Synced") == 1


def test_asyncio_watch_survives_a_restart_of_the_daemon(daemons):
    daemon = daemons("--memory")
    told = []

    async def follow(client, synced, lost):
        async for event in client.watch():
            told.append(type(event).__name__)
            if isinstance(event, proa.Synced):
                synced.set()
            if isinstance(event, proa.Disconnected):
                lost.set()

    async def run():
        settings: dict[str, Any] = {"username": "ada", "password": "correct horse"}
        async with proa.aio.connect(daemon.address, **settings) as client:
            synced, lost = asyncio.Event(), asyncio.Event()
            task = asyncio.create_task(follow(client, synced, lost))
            await asyncio.wait_for(synced.wait(), 30)
            await asyncio.to_thread(daemon.stop)
            await asyncio.wait_for(lost.wait(), 30)
            synced.clear()
            await asyncio.to_thread(daemon.start)
            await asyncio.wait_for(synced.wait(), 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
    assert told == ["Synced", "Disconnected", "Gap", "Reconnected", "Synced"]


@pytest.fixture
def behind():
    """A client of the engine, for external changes."""
    with contextlib.closing(docker.DockerClient()) as engine:
        yield engine


@pytest.mark.docker
def test_watch_of_containers_yields_external_changes(daemons, follow, behind):
    daemon = daemons()
    name = f"proa-test-{time.monotonic_ns()}"
    filter: dict[str, Any] = {"name_prefix": name, "kinds": [v1.RESOURCE_KIND_CONTAINER]}
    with daemon.client() as client:
        user = follow(client, v1.ResourceFilter(**filter))
        container = behind.containers.run(IMAGE, ["sleep", "600"], name=name, detach=True)
        try:
            client.wait(name, v1.RESOURCE_STATE_RUNNING, timeout=30)
            waiting = threading.Thread(target=container.pause)
            waiting.start()
            paused = client.wait(name, v1.RESOURCE_STATE_PAUSED, timeout=30)
            waiting.join()
            assert paused.id == container.id
            user.until(
                lambda: any(
                    change.resource.state == v1.RESOURCE_STATE_PAUSED
                    for change in user.changes(container.id)
                )
            )
            daemon.stop(signal.SIGKILL)
            user.until_told(proa.Disconnected)
            container.unpause()
            daemon.start()
            user.until_told(proa.Synced, 2)
            user.until_agreed(client, **filter)
        finally:
            container.remove(force=True)
        client.wait(name, removed=True, timeout=30)
        user.until(lambda: not user.now)
    kinds = [change.type for change in user.changes(container.id)]
    assert kinds[0] == v1.CHANGE_TYPE_ADDED
    assert kinds[-1] == v1.CHANGE_TYPE_REMOVED
    assert set(kinds[1:-1]) == {v1.CHANGE_TYPE_MODIFIED}
    causes = {change.cause for change in user.changes(container.id)}
    assert causes <= {v1.CHANGE_CAUSE_EXTERNAL, v1.CHANGE_CAUSE_UNSPECIFIED}


@pytest.mark.libvirt
def test_watch_of_domains_yields_external_changes(daemons, follow):
    def virsh(*arguments):
        command = ["virsh", "-q", "-c", "qemu:///system", *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    daemon = daemons()
    name = f"proa-test-{time.monotonic_ns()}"
    with daemon.client() as client:
        user = follow(client, v1.ResourceFilter(name_prefix=name))
        # Nothing to boot from: a running firmware is enough.
        xml = f"""<domain type="qemu"><name>{name}</name><memory unit="MiB">64</memory>
            <os><type>hvm</type></os></domain>"""
        request = v1.CreateDomainFromXmlRequest(xml=xml, start=True)
        domain = client.domains.CreateDomainFromXml(request).resource
        try:
            virsh("suspend", name)
            client.wait(name, v1.RESOURCE_STATE_PAUSED, timeout=30)
            virsh("destroy", name)
            client.wait(name, v1.RESOURCE_STATE_STOPPED, timeout=30)
            virsh("start", name)
            client.wait(name, v1.RESOURCE_STATE_RUNNING, timeout=30)
            # A slow first sample of an engine is not awaited.
            batches = client.resources.StreamStats(v1.StreamStatsRequest(ids=[name]))
            [stats] = next(batch.stats for batch in batches if batch.stats)
            assert stats.name == name
            assert stats.memory_limit_bytes == 64 * 2**20
        finally:
            virsh("destroy", name)
            virsh("undefine", name)
        user.until(lambda: not user.now)
    assert user.changes(domain.id)[-1].cause == v1.CHANGE_CAUSE_EXTERNAL


@pytest.mark.docker
def test_watch_wait_and_top_work_on_a_real_container(daemons, behind, cli, monkeypatch):
    daemon = daemons()
    monkeypatch.setenv("PROA_TARGET", daemon.address)
    monkeypatch.setenv("PROA_USERNAME", "ada")
    monkeypatch.setenv("PROA_PASSWORD", "correct horse")
    name = f"proa-test-{time.monotonic_ns()}"
    busy = ["sh", "-c", "while :; do :; done"]
    container = behind.containers.run(IMAGE, busy, name=name, detach=True)
    try:
        assert cli.ok("wait", name, "--state", "running", "--timeout", "30") == f"{name} running\n"
        [line] = cli.ok("top", name, "--once", "-o", "json").splitlines()
        stats = json.loads(line)
        assert stats["id"] == container.id
        assert stats["cpu_percent"] > 1
        threading.Timer(1, container.pause).start()
        assert cli.ok("wait", name, "--state", "paused", "--timeout", "60") == f"{name} paused\n"
        threading.Timer(1, container.remove, kwargs={"force": True}).start()
        assert cli.ok("wait", name, "--removed", "--timeout", "60") == f"{name} removed\n"
    finally:
        with contextlib.suppress(docker.errors.NotFound):
            container.remove(force=True)
