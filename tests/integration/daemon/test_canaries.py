"""Canary secrets, through a life with failures on real engines: where they are found, and where not.

Nobody reads back what is a secret; readers without `advanced` read no environment, no telling
command line and no path of the host; and neither the log at debug level nor the database nor any
other file of the daemon has a canary.
"""

import json
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import docker
import grpc
import psycopg
import pytest

import proa
from eventually import wait_until
from integration.daemon.conftest import PASSWORD, Daemon
from integration.daemon.frail_engine import FrailEngine, frail_engine
from integration.docker.engine_socket import engine_socket
from integration.docker.registry import find_registry, serve_registry
from integration.postgres import Postgres
from proa import v1

pytestmark = [pytest.mark.docker, pytest.mark.libvirt]

IMAGE = "proa-test/busybox:1"
ENV, SECRET, LINE, CHECK, LOG = (f"canary-{n}-{uuid4().hex[:12]}" for n in range(5))
BIND, REGISTRY, DATABASE, WRONG = (f"canary-{n}-{uuid4().hex[:12]}" for n in range(5, 9))
VNC = "cnry5900"  # VNC has eight characters at the most
CONFIDENTIAL = (SECRET, VNC, REGISTRY, DATABASE, WRONG, PASSWORD)
"""Read by nobody."""
PRIVILEGED = (ENV, LINE, CHECK, LOG, BIND)
"""Read with the scope `advanced` alone."""


def spec(name: str, bind: Path, **more: Any) -> v1.ContainerSpec:
    made = v1.ContainerSpec(
        image=IMAGE,
        name=name,
        command=["sh", "-c", f"exec sleep 600; serve --password={LINE}"],
        env={"LEVEL": ENV},
        env_secret={"PASSWORD": v1.EnvSecret(value=SECRET)},
        health_check=v1.HealthCheck(shell_command=f"true --token {CHECK}"),
        log_driver="json-file",
        log_options={"tag": LOG},
        mounts=[v1.Mount(target="/data", bind=v1.BindMount(source=str(bind)))],
    )
    made.MergeFrom(v1.ContainerSpec(**more))
    return made


def domain_xml(name: str) -> str:
    return (
        f"<domain type='qemu'><name>{name}</name><memory>32768</memory>"
        "<os><type arch='x86_64'>hvm</type></os><devices>"
        f"<graphics type='vnc' passwd='{VNC}' listen='127.0.0.1'/></devices></domain>"
    )


class Life:
    """Calls of one client, and all that they are told."""

    def __init__(self, client: proa.Client) -> None:
        self.client = client
        self.told: list[str] = []

    def ok(self, call: Callable[..., object], request: object) -> None:
        """Make a call that must succeed."""
        self.told.append(str(call(request)))

    def fails(self, call: Callable[..., object], request: object, *, timeout: float = 60) -> None:
        """Make a call that must fail."""
        with pytest.raises(proa.Error) as caught:
            _drained(call(request, timeout=timeout))
        cause = caught.value.__cause__
        trailers = cause.trailing_metadata() if isinstance(cause, grpc.Call) else ()
        self.told.append(f"{caught.value} {vars(caught.value)} {list(trailers)}")

    def read_all(self, name: str, image: str) -> None:
        """Read everything that there is to read about the container and its surroundings."""
        client = self.client
        for view in (v1.RESOURCE_VIEW_SUMMARY, v1.RESOURCE_VIEW_FULL):
            which = v1.ResourceFilter(name_prefix=name)
            self.ok(client.resources.GetResource, v1.GetResourceRequest(id=name, view=view))
            listing = v1.ListResourcesRequest(view=view, filter=which)
            self.ok(client.resources.ListResources, listing)
        watch = client.resources.WatchResources(v1.WatchResourcesRequest(), timeout=60)
        for response in watch:
            self.told.append(str(response))
            if any(event.bookmark.synced for event in response.events):
                break
        watch.cancel()
        wait = v1.WaitCondition(
            in_state=v1.WaitCondition.InState(states=[v1.RESOURCE_STATE_RUNNING])
        )
        self.ok(client.resources.WaitResource, v1.WaitResourceRequest(id=name, condition=wait))
        self.ok(client.images.ListImages, v1.ListImagesRequest())
        self.ok(client.images.GetImage, v1.GetImageRequest(image=image))
        self.ok(client.volumes.ListVolumes, v1.ListVolumesRequest())
        self.ok(client.hosts.GetHost, v1.GetHostRequest())
        self.ok(client.server.GetServerInfo, v1.GetServerInfoRequest())
        self.ok(client.operations.ListRequests, v1.ListRequestsRequest())
        self.ok(client.auth.GetCaller, v1.GetCallerRequest())
        self.fails(client.resources.GetResource, v1.GetResourceRequest(id="no-such"))


@pytest.fixture
def database(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[str, Callable[[], str]]]:
    """The URL of a database, empty for the default one, and what returns all that is in it."""
    if request.param == "sqlite":
        yield "", lambda: _of_sqlite(tmp_path / "daemon0/state/proa.db")
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.new_database() as url:
        yield url.replace("proa@", f"proa:{DATABASE}@"), lambda: _of_postgres(url)


def _of_sqlite(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        rows = "\n".join(connection.iterdump())
    connection.close()
    return rows


def _of_postgres(url: str) -> str:
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        rows = [
            f"{name} {connection.execute(f'SELECT * FROM {name}').fetchall()}"
            for (name,) in tables.fetchall()
        ]
    return "\n".join(rows)


@pytest.fixture
def bind() -> Iterator[Path]:
    """A folder of the host that nobody but root can put another in the place of."""
    folder = Path("/srv") / BIND
    folder.mkdir()
    yield folder
    folder.rmdir()


@pytest.fixture
def frail(tmp_path: Path) -> Iterator[FrailEngine]:
    with frail_engine(engine_socket(), tmp_path) as proxy:
        yield proxy


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_canaries_are_found_nowhere(
    database: tuple[str, Callable[[], str]],  # first: what is left is swept through it
    start_daemon: Callable[..., Daemon],
    token: str,
    swept: Callable[[proa.Client], None],
    frail: FrailEngine,
    bind: Path,
    tmp_path: Path,
):
    url, dump = database
    environment = {
        "PROA_LOG_LEVEL": "debug",
        "PROA_DOCKER_URL": frail.url,
        "PROA_ALLOWED_REGISTRIES": "*,127.0.0.1",
    }
    daemon = start_daemon(**environment, **({"PROA_DATABASE_URL": url} if url else {}))
    ada, eve = Life(daemon.client()), Life(daemon.client("eve"))
    swept(ada.client)

    make_and_fail(ada, token, bind)
    lose_engine(ada, frail, token, bind)
    log_in(ada, tmp_path)
    eve.read_all(token, IMAGE)
    ada.read_all(token, IMAGE)
    assert daemon.stop(signal.SIGKILL) == -signal.SIGKILL
    logs = (daemon.home / "log").read_text()
    daemon.start()
    wait_until(lambda: ada.client.hosts.GetHost(v1.GetHostRequest()))
    eve.read_all(token, IMAGE)
    assert daemon.stop() == 0
    logs += (daemon.home / "log").read_text()
    rows = dump()
    files = [file for file in (daemon.home / "state").rglob("*") if file.is_file()]
    kept = "\n".join(file.read_bytes().decode(errors="replace") for file in files)
    daemon.start()  # what is left is swept through it

    own, theirs = "\n".join(ada.told), "\n".join(eve.told)
    for canary in PRIVILEGED:
        assert canary in own  # otherwise this test would show nothing
    _assert_without(CONFIDENTIAL, own, "what the user with all scopes was told")
    _assert_without((*CONFIDENTIAL, *PRIVILEGED), theirs, "what the reader was told")
    _assert_without((*CONFIDENTIAL, *PRIVILEGED), logs, "the log")
    assert token in rows
    _assert_without((*CONFIDENTIAL, ENV, LOG), rows, "the database")
    _assert_without((*CONFIDENTIAL, ENV, LOG), kept, "the state folder")


def make_and_fail(ada: Life, name: str, bind: Path) -> None:
    """Create containers and a domain in every way that can go wrong."""
    create = ada.client.containers.CreateContainer
    request = v1.CreateContainerRequest(spec=spec(name, bind), start=True, request_id=str(uuid4()))
    only_checked = v1.CreateContainerRequest(spec=request.spec, validate_only=True)
    ada.ok(create, only_checked)
    ada.ok(create, request)
    ada.ok(create, request)  # the stored answer
    ada.fails(create, only_checked)  # the name is taken now
    wrong: dict[str, dict[str, Any]] = {
        "image": {"image": f"proa-test/no-such-{uuid4().hex}:1"},
        "network": {"networks": [v1.NetworkAttachment(network="no-such-network")]},
        "command": {"entrypoint": ["/no/such/program"]},
        "log driver": {"log_driver": "no-such-driver"},
        "user": {"user": "no-such-user"},
    }
    for number, fields in enumerate(wrong.values()):
        failing = spec(f"{name}-{number}", bind, **fields)
        ada.fails(
            create,
            v1.CreateContainerRequest(spec=failing, start=True, request_id=str(uuid4())),
        )
    update = v1.UpdateResourceRequest(id=name, container=v1.ContainerSpec(env={"LEVEL": ENV}))
    update.update_mask.paths.append("env")
    ada.fails(ada.client.resources.UpdateResource, update)
    ada.ok(ada.client.containers.RecreateContainer, v1.RecreateContainerRequest(id=name))
    xml = v1.CreateDomainFromXmlRequest(xml=domain_xml(f"{name}-vm"))
    ada.ok(ada.client.domains.CreateDomainFromXml, xml)
    ada.fails(ada.client.domains.CreateDomainFromXml, xml)
    ada.ok(ada.client.domains.GetDomainXml, v1.GetDomainXmlRequest(id=f"{name}-vm"))
    broken = v1.CreateDomainFromXmlRequest(xml=domain_xml(f"{name}-x").replace("hvm", "&odd;"))
    ada.fails(ada.client.domains.CreateDomainFromXml, broken)


def lose_engine(ada: Life, frail: FrailEngine, name: str, bind: Path) -> None:
    """Lose the engine in the middle of a create, which is undone once it is back."""
    frail.die_at(b"/containers/create")
    request = v1.CreateContainerRequest(
        spec=spec(f"{name}-lost", bind), start=True, request_id=str(uuid4())
    )
    ada.fails(ada.client.containers.CreateContainer, request, timeout=5)
    frail.come_back()
    raw = docker.APIClient()
    wait_until(lambda: not raw.containers(all=True, filters={"name": f"{name}-lost"}))
    engine = v1.GetResourceRequest(id=name)

    def answers() -> bool:
        with suppress(proa.Error):
            return bool(ada.client.resources.GetResource(engine).resource.name)
        return False

    wait_until(answers, "the engine is back")


def log_in(ada: Life, folder: Path) -> None:
    """Log in to the daemon and to a registry, with right and with wrong passwords."""
    wrong = v1.CreateTokenRequest(username="ada", password=WRONG)
    ada.fails(ada.client.auth.CreateToken, wrong)
    nobody = v1.CreateTokenRequest(username=WRONG, password=WRONG)
    ada.fails(ada.client.auth.CreateToken, nobody)
    if find_registry() is None:
        return
    shutil.rmtree(folder / "registry", ignore_errors=True)
    with serve_registry(folder / "registry", closed=True, password=REGISTRY) as address:
        images = ada.client.images
        for password, call in ((WRONG, ada.fails), (REGISTRY, ada.ok)):
            call(
                images.LoginRegistry,
                v1.LoginRegistryRequest(registry=address, username="alice", password=password),
            )
        pull = v1.PullImageRequest(image=f"{address}/no/such:1", request_id=str(uuid4()))
        ada.fails(images.PullImage, pull)


def _drained(answer: object) -> object:
    """Return the answer to a call, of a stream its responses."""
    return list(answer) if isinstance(answer, Iterator) else answer


def _assert_without(canaries: tuple[str, ...], text: str, where: str) -> None:
    spellings = {*canaries, *(json.dumps(each)[1:-1] for each in canaries)}
    for canary in spellings:
        position = text.find(canary)
        assert position < 0, f"{where}: …{text[max(position - 200, 0) : position + 60]}…"
