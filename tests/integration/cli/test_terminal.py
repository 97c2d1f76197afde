"""The output on terminals of 80 and 120 columns, with real engines."""

import os
import re
import secrets
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import libvirt
import pytest
from docker.errors import DockerException, NotFound
from rich.cells import cell_len

from guest.media import import_image
from integration.cli.terminal import Terminal
from integration.daemon.conftest import BIN, PASSWORD, Daemon
from integration.docker.archives import archive
from proa import v1
from requirements import skip_or_fail

pytestmark = [pytest.mark.docker, pytest.mark.libvirt]

TOKEN = "gold-########"
GOLDEN = Path(__file__).parents[2] / "golden/cli"
WIDTHS = (80, 120)
IMAGE = "proa-test/busybox:1"
COMBINED = "e\u0301a\u0308"  # é and ä, as two code points each
DOMAIN = """
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>{devices}</devices>
</domain>
"""
DISK = """
<disk type='file' device='disk'>
  <driver name='qemu' type='qcow2'/><source file='{path}'/><target dev='vda' bus='virtio'/>
</disk>
"""


@dataclass
class World:
    """Resources with odd names in the engines, all of which begin with the token."""

    token: str
    folder: Path
    api: Any
    raw: libvirt.virConnect
    containers: dict[str, str]

    def container(self, name: str, *command: str, start: bool = True) -> None:
        full = f"{self.token}-{name}"
        made = self.api.create_container(IMAGE, list(command), name=full, labels={"test": full})
        self.containers[full] = made["Id"]
        if start:
            self.api.start(made["Id"])

    def domain(self, name: str, first: str, devices: str = "") -> libvirt.virDomain:
        """Define a domain whose UUID has a prefix."""
        own = f"{first}{uuid.uuid4().hex[len(first) :]}"
        fields = {"name": f"{self.token}-{name}", "uuid": uuid.UUID(own), "devices": devices}
        return self.raw.defineXML(DOMAIN.format(**fields))

    def image(self, *names: str) -> None:
        """Create a nearly empty image with some names."""
        repository, _, tag = f"{self.token}/{names[0]}".partition(":")
        content = archive(content=secrets.token_bytes(5000))
        self.api.import_image_from_data(content, repository=repository, tag=tag)
        for name in names[1:]:
            other, _, tag = f"{self.token}/{name}".partition(":")
            self.api.tag(f"{self.token}/{names[0]}", other, tag)

    def pool(self, name: str) -> libvirt.virStoragePool:
        folder = self.folder / name
        folder.mkdir()
        target = f"<target><path>{folder}</path></target>"
        xml = f"<pool type='dir'><name>{name}-{self.token}</name>{target}</pool>"
        return self.raw.storagePoolCreateXML(xml)

    def volumes(self) -> None:
        pool = self.pool("Größe")
        for name, form, mib in (
            ("disk.raw", "raw", 1),
            ("Win 11 (x64) [v2], größer als üblich und noch etwas länger.iso", "raw", 4000),
            ("日本語のとても長い名前のディスク-日本語のとても長い名前.raw", "raw", 1024 * 20),
            (f"{COMBINED}-{COMBINED * 12}.raw", "raw", 1),
        ):
            pool.createXML(
                f"<volume><name>{name}</name><capacity unit='MiB'>{mib}</capacity>"
                f"<allocation>0</allocation><target><format type='{form}'/></target></volume>"
            )

    def snapshots(self) -> None:
        """Create snapshots of a stopped domain."""
        volume = self.pool("snapshots").createXML(
            "<volume><name>disk.qcow2</name><capacity unit='MiB'>1</capacity>"
            "<target><format type='qcow2'/></target></volume>"
        )
        domain = self.domain("taken", "facade04", DISK.format(path=volume.path()))
        for name, description in (
            ("before", "the first"),
            ("Größe geändert, und danach noch so einiges mehr", "mit Umlauten: äöüß " * 5),
            ("日本語のとても長い名前のスナップショット", "日本語の説明" * 10),
            (f"{COMBINED * 15}", COMBINED * 40),
        ):
            domain.snapshotCreateXML(
                f"<domainsnapshot><name>{name}</name>"
                f"<description>{description}</description></domainsnapshot>"
            )


@contextmanager
def swept(world: World) -> Iterator[World]:
    try:
        yield world
    finally:
        for id in world.containers.values():
            with suppress(NotFound):
                world.api.remove_container(id, force=True, v=True)
        for image in world.api.images():
            for tag in image["RepoTags"] or ():
                if tag.startswith(world.token):
                    world.api.remove_image(tag)
        for domain in world.raw.listAllDomains():
            if domain.name().startswith(world.token):
                if domain.isActive():
                    domain.destroy()
                domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA)
        for pool in world.raw.listAllStoragePools():
            if pool.name().endswith(world.token):
                pool.destroy()
        shutil.rmtree(world.folder)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    try:
        api = docker.from_env().api
        api.ping()
        raw = libvirt.open("qemu:///system")
    except (DockerException, libvirt.libvirtError) as error:
        skip_or_fail(f"these tests need both engines: {error}")
    import_image()
    token = f"gold-{secrets.token_hex(4)}"
    folder = Path("/var/tmp") / f"proa-test-{token}"
    folder.mkdir(mode=0o755)
    with swept(World(token, folder, api, raw, {})) as world:
        world.container("web", "sleep", "600")
        world.container("a-name-as-long-as-those-that-compose-makes-of-a-project-1", "sleep", "600")
        world.container("ended", "sh", "-c", "exit 3")
        api.wait(world.containers[f"{token}-ended"])
        world.container("never", "sleep", "600", start=False)
        world.domain("größe", "facade00").create()
        world.domain("日本語のとても長い名前のデスクトップ-日本語のとても長い名前", "facade01")
        world.domain(f"{COMBINED}-{COMBINED * 12}", "facade02")
        world.image("one:1")
        world.image("several:1", "several:latest", "of-the-same/with/a/long/path:2026-11-26")
        world.volumes()
        world.snapshots()
        yield world
    raw.close()
    api.close()


@pytest.fixture(scope="module")
def variables(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a user with a token of a daemon on these engines."""
    daemon = Daemon(tmp_path_factory.mktemp("proad"), {})
    daemon.start()
    with daemon.client() as client:
        login = v1.CreateTokenRequest(username="ada", password=PASSWORD)
        token = client.auth.CreateToken(login).token
    yield {"PROA_TARGET": daemon.address, "PROA_TOKEN": token}
    daemon.stop()


@pytest.fixture
def show(tmp_path: Path, variables: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    terminals: list[Terminal] = []

    def begin(width: int, *arguments: str, **more: str) -> Terminal:
        terminals.append(Terminal(tmp_path, width, *arguments, **variables | more))
        return terminals[-1]

    yield begin
    for terminal in terminals:
        terminal.close()


def normal(lines: list[str], world: World) -> list[str]:
    """Replace values that differ between runs by placeholders of the same length."""
    text = "\n".join(lines).replace(world.token, TOKEN)
    for end in range(len(world.token) - 1, len("gold-"), -1):
        text = text.replace(f"{world.token[:end]}…", f"{TOKEN[:end]}…")
    return re.sub(r"\b[0-9a-f]{12}\b", "c0ntainer1d0", text).splitlines()


def measured(lines: list[str], world: World) -> list[str]:
    """Replace figures, and their order, as well."""
    heading, rule, *rows = normal(lines, world)
    figure = re.compile(r"\b\d+(\.\d+)?( (B|KiB|MiB|GiB))?(?= |$)")
    return [heading, rule, *sorted(figure.sub("#", re.sub(" +", " ", row)) for row in rows)]


def assert_golden(name: str, lines: list[str], width: int) -> None:
    assert max(map(cell_len, lines)) <= width
    file = GOLDEN / f"{name}-{width}.txt"
    if os.environ.get("WRITE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join(lines) + "\n")
    assert lines == file.read_text().splitlines()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("name", "typed", "rows"),
    [
        ("ls", "ls --all --name {token} --sort name", 8),
        ("images", "images {token}/*", 2),
        ("snapshot-ls", "snapshot ls {token}-taken", 4),
        ("volumes", "volumes ls Größe-{token}", 4),
    ],
)
def test_list_on_a_terminal_has_one_line_per_row(
    world: World, show: Callable[..., Terminal], name: str, typed: str, rows: int, width: int
):
    code, lines = show(width, *typed.format(token=world.token).split()).end()
    assert code == 0, lines
    assert len(lines) == 2 + rows
    heading, rule, *rest = normal(lines, world)
    if name == "images":  # made in the same second, in which Docker's order is arbitrary
        rest.sort()
    assert_golden(name, [heading, rule, *rest], width)


@pytest.mark.parametrize("width", WIDTHS)
def test_top_on_a_terminal_has_one_line_per_row(
    world: World, show: Callable[..., Terminal], width: int
):
    ids = [f"{world.token}-web", f"{world.token}-größe"]
    ids.append(f"{world.token}-a-name-as-long-as-those-that-compose-makes-of-a-project-1")
    code, lines = show(width, "top", "--once", *ids).end()
    assert code == 0, lines
    assert len(lines) == 2 + len(ids)
    assert_golden("top", measured(lines, world), width)


def test_top_when_interrupted_leaves_last_table(world: World, show: Callable[..., Terminal]):
    live = show(80, "top", f"{world.token}-web")
    live.until(" KiB ")
    live.interrupt()
    code, lines = live.end()
    assert code == 130
    heading, rule, row = [line for line in lines if line not in {"", "^C"}]
    assert heading.startswith("NAME ")
    assert set(rule) == {"─"}
    assert row.startswith(f"{world.token}-web ")


def test_short_id_of_a_list_is_accepted(world: World, show: Callable[..., Terminal]):
    _, lines = show(120, "ls", "--all", "--name", world.token, "--sort", "name").end()
    rows = [line.split() for line in lines[2:]]
    assert {len(row[0]) for row in rows} == {12, 8}
    for row in rows:
        code, shown = show(200, "get", row[0]).end()
        assert code == 0, shown
        [name] = [line.removeprefix("name: ") for line in shown if line.startswith("name: ")]
        assert name.startswith(row[2].rstrip("…"))


def test_list_with_no_trunc_or_in_a_pipe_is_uncut(
    world: World, show: Callable[..., Terminal], variables: dict[str, str]
):
    typed = ["ls", "--all", "--name", world.token, "--sort", "name"]
    _, lines = show(400, *typed, "--no-trunc").end()
    names = [domain.name() for domain in world.raw.listAllDomains()]
    wanted = [*world.containers, *(name for name in names if name.startswith(world.token))]
    assert not [name for name in wanted if not any(f" {name} " in line for line in lines)]
    assert not [id for id in world.containers.values() if not any(id in line for line in lines)]
    piped = subprocess.run(
        [BIN / "proa", *typed],
        env=os.environ | variables,
        capture_output=True,
        check=True,
        encoding="utf-8",
    ).stdout
    assert not [name for name in wanted if f" {name} " not in piped]
    assert not [id for id in world.containers.values() if f"{id[:12]} " not in piped]
    assert [len(line.split()[0]) for line in piped.splitlines()[1:]].count(8) == 4
