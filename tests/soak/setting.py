"""Private engines and a daemon, which may be killed."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import libvirt

import proa
from eventually import wait_until
from integration.daemon.conftest import PASSWORD, Daemon
from integration.docker.private_engine import PrivateEngine
from integration.libvirt.private_libvirtd import PrivateLibvirtd
from proa import v1
from soak.bare import Docker, RefusedError

IMAGE = "proa-test/busybox:1"
CONTAINERS = v1.ResourceFilter(kinds=[v1.RESOURCE_KIND_CONTAINER])
DOMAINS = v1.ResourceFilter(kinds=[v1.RESOURCE_KIND_DOMAIN])
_OUTAGES = (proa.Unavailable, HTTPException, RefusedError, libvirt.libvirtError, OSError)
# Retries of the client would hide failures.
ONCE = (("grpc.enable_retries", 0),)


@dataclass
class Setting:
    """A daemon over private engines."""

    daemon: Daemon
    dockerd: PrivateEngine
    libvirtd: PrivateLibvirtd
    docker: Docker

    @property
    def pid(self) -> int:
        """Of the daemon."""
        assert self.daemon.process is not None
        return self.daemon.process.pid

    def client(self, **options: Any) -> proa.Client:
        return self.daemon.client(options=ONCE, **options)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="proa-test-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextmanager
def daemon(*arguments: str, **environment: str) -> Iterator[Daemon]:
    """Run a daemon."""
    with folder() as home:
        running = Daemon(home, environment, list(arguments))
        try:
            running.start()
            yield running
        finally:
            if running.process is not None and running.process.poll() is None:
                running.process.kill()
                running.process.wait()


@contextmanager
def private_setting(**environment: str) -> Iterator[Setting]:
    """Start engines and a daemon over them, and wait until it serves both."""
    libvirt.registerErrorHandler(lambda *_: None, None)  # errors are raised, not printed
    with ExitStack() as stack:
        home = stack.enter_context(folder())
        for name in ("docker", "libvirt"):
            (home / name).mkdir()
        dockerd = PrivateEngine(home / "docker")
        dockerd.start()
        stack.callback(dockerd.stop)
        libvirtd = PrivateLibvirtd(home / "libvirt")
        libvirtd.start()
        stack.callback(libvirtd.stop)
        bare = Docker(dockerd.url)
        wait_through_outages(lambda: bare.containers() == [], "dockerd answers")
        asyncio.run(dockerd.import_image())
        wait_through_outages(lambda: libvirt.open(libvirtd.uri).close() == 0, "libvirtd answers")
        engines = {"PROA_DOCKER_URL": dockerd.url, "PROA_LIBVIRT_URI": libvirtd.uri}
        served = stack.enter_context(daemon(**engines, **environment))
        setting = Setting(served, dockerd, libvirtd, bare)
        with setting.client() as client:
            wait_through_outages(lambda: listed(client) is not None, "both engines are served")
        yield setting


def listed(client: proa.Client, which: v1.ResourceFilter | None = None) -> dict[str, v1.Resource]:
    """Return all resources by id."""
    return {resource.id: resource for resource in client.list_resources(which)}


def wait_through_outages(condition: Callable[[], object], what: str, within: float = 60) -> float:
    """Wait until a condition holds, although engines may be away, and return the seconds."""
    return wait_until(condition, what, within=within, tolerate=_OUTAGES)


def credentials() -> dict[str, Any]:
    """Return the credentials of a user with all scopes."""
    return {"username": "ada", "password": PASSWORD}
