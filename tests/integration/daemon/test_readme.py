"""The README's examples as they are written, but for names, addresses and the password."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import libvirt
import pytest
from docker.errors import DockerException

from free_port import free_port
from guest.media import build_guest, import_image, medium
from integration.daemon.conftest import BIN, PASSWORD, Daemon
from integration.docker.registry import find_registry, serve_registry
from proa import v1
from readme import README, blocks
from requirements import skip_or_fail
from stubs.program import require

NAMES = re.compile(r"\b(web|desk|site|desktop|worker)\b")
BY_HAND = blocks("By hand", "sh")
GOBIN = README.parent / "build/bin"
# The first asks for the password; the others are ways to define `g`.
WAYS = {("grpcurl" if "grpcurl" in block.text else "buf"): block for block in BY_HAND[1:3]}


@pytest.fixture
def image(tmp_path: Path) -> Iterator[str]:
    """The name by which an image can be pulled that goes by debian:12 in the README."""
    if find_registry() is None:
        skip_or_fail("docker-registry is not installed; deploy/test-services.sh does it")
    try:
        engine = docker.from_env().api
        engine.ping()
    except DockerException as error:
        skip_or_fail(f"no Docker Engine: {error}")
    import_image()
    with serve_registry(tmp_path / "registry") as address:
        name = f"{address}/debian:12"
        engine.tag("proa-test/busybox:1", name)
        for line in engine.push(name, stream=True, decode=True):
            assert "error" not in line, line
        engine.remove_image(name)
        yield name
        if engine.images(name):
            engine.remove_image(name, force=True)
    engine.close()


@pytest.fixture
def iso() -> str:
    """The path of a medium that boots, where the README has Debian's."""
    try:
        with libvirt.open("qemu:///system") as connection:
            if not connection.networkLookupByName("default").isActive():
                skip_or_fail("libvirt's network 'default' is not active")
    except libvirt.libvirtError as error:
        skip_or_fail(f"no libvirt with a network 'default': {error}")
    build_guest()
    return str(medium("guest.iso"))


def install_grpcurl() -> None:
    """Have Go build grpcurl by the README's command."""
    require("go")
    command = re.search(r"`(go install \S+/grpcurl@\S+)`", README.read_text())
    assert command is not None
    environment = os.environ | {"GOBIN": str(GOBIN)}
    subprocess.run(command[1].split(), env=environment, check=True, timeout=300)


@dataclass(frozen=True)
class Reader:
    """Copies what the README says, as somebody who has other names in use."""

    home: Path
    words: dict[str, str]
    token: str
    address: str

    def copied(self, text: str) -> str:
        text = NAMES.sub(rf"{self.token}-\1", text)
        for word, ours in self.words.items():
            text = text.replace(word, ours)
        return text

    def run(self, text: str, interpreter: str = "bash") -> subprocess.CompletedProcess[str]:
        """Run a copied block; the password is what it reads from its standard input."""
        options = {"bash": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
        environment = os.environ | {
            "HOME": str(self.home),
            "PATH": f"{BIN}:{GOBIN}:{os.environ['PATH']}",
            "PROA_TARGET": self.address,
        }
        return subprocess.run(
            [*options[interpreter], self.copied(text)],
            env=environment,
            input=f"{PASSWORD}\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=150,
        )


@pytest.fixture
def reader(
    start_daemon: Callable[..., Daemon], token: str, swept, tmp_path: Path, request
) -> Reader:
    image = request.getfixturevalue("image")
    registry, _, _ = image.partition("/")
    settings = {"PROA_ALLOWED_REGISTRIES": registry, "PROA_CONFIG": ""}
    iso = ""
    if request.node.get_closest_marker("libvirt"):
        iso = request.getfixturevalue("iso")
        settings["PROA_MEDIA_DIRS"] = str(Path(iso).parent)
    daemon = start_daemon(**settings)
    swept(daemon.client())
    words = {
        "127.0.0.1:50051": daemon.address,
        "debian:12": image,
        "8080:": f"{free_port()}:",
        ".venv/bin/": f"{BIN}/",
        "proa login ada": "proa login ada --password-stdin",
        "getpass()": "input()",
        '"work"': f'"{token}-work"',
    }
    if iso:
        words["/srv/debian.iso"] = iso
    return Reader(tmp_path, words, token, daemon.address)


def test_readme_has_two_ways_to_call_by_hand():
    assert set(WAYS) == {"grpcurl", "buf"}
    assert len(BY_HAND) == 9


@pytest.mark.docker
@pytest.mark.libvirt
@pytest.mark.timeout(600)
@pytest.mark.parametrize("way", WAYS)
def test_readme_by_hand_runs_as_written(reader: Reader, way: str):
    if way == "grpcurl":
        install_grpcurl()
    ask, _, _, make, refused, once, update, inside, end = (block.text for block in BY_HAND)
    begin = ask + WAYS[way].text
    made = reader.run(begin + make)
    assert made.returncode == 0, made.stderr
    assert made.stdout.count("RESOURCE_STATE_RUNNING") >= 4  # two made, two listed
    again = reader.run(begin + refused)
    assert again.returncode != 0
    told = json.loads(blocks("By hand", "json")[0].text)["message"]
    assert reader.copied(told) in again.stderr
    repeated = reader.run(begin + once)
    assert repeated.returncode == 0, repeated.stderr
    assert repeated.stdout.count("RESOURCE_STATE_PAUSED") == 2
    assert "REQUEST_STATE_SUCCEEDED" in repeated.stdout
    if way == "grpcurl":
        mask = re.search(r"grpcurl takes the mask as an object: `(.*)`", README.read_text())
        assert mask is not None
        update = update.replace('"update_mask":"labels"', mask[1])
    updated = reader.run(begin + update)
    assert updated.returncode == 0, updated.stderr
    assert '"desks"' in updated.stdout
    decoded = re.search(r"`(\| jq -r '.stdout .*')` after that", README.read_text())
    assert decoded is not None
    ran = reader.run(begin + inside.rstrip() + decoded[1])
    assert (ran.returncode, ran.stdout.strip()) == (0, "Linux"), ran.stderr
    ended = reader.run(begin + end)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.docker
@pytest.mark.libvirt
def test_readme_command_line_runs_as_written(reader: Reader):
    login, rest = blocks("On the command line", "sh")
    assert reader.run(login.text).returncode == 0
    done = reader.run(rest.text)
    assert done.returncode == 0, done.stderr
    assert f"{reader.token}-desktop" in done.stdout
    assert "\nup since " in done.stdout


@pytest.mark.docker
def test_readme_python_runs_as_written(reader: Reader):
    client, _, toolkit = blocks("From Python", "python")
    done = reader.run(client.text, "python")
    assert done.returncode == 0, done.stderr
    assert "RESOURCE_ALREADY_RUNNING" in done.stdout
    assert f"{reader.token}-worker RESOURCE_STATE_RUNNING" in done.stdout
    assert "stdout b'hello'\nExit(code=3, signal='', timed_out=False)\n" in done.stdout
    drivers = reader.run(toolkit.text, "python")
    assert drivers.returncode == 0, drivers.stderr
    assert "EngineEvent(" in drivers.stdout  # told to the callback of the subscription


def test_readme_watch_tells_what_happens(start_daemon: Callable[..., Daemon], token: str):
    daemon = start_daemon("--memory", PROA_CONFIG="")
    text = blocks("From Python", "python")[1].text
    text = text.replace("127.0.0.1:50051", daemon.address).replace("getpass()", "input()")
    spec = v1.ContainerSpec(image="debian:12", name=token, labels={"team": "desks"})
    with daemon.client() as client:
        for _ in client.images.PullImage(v1.PullImageRequest(image=spec.image)):
            pass
        client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec))
    command = [sys.executable, "-uc", text]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as watching:
        try:
            assert watching.stdin is not None
            assert watching.stdout is not None
            watching.stdin.write(f"{PASSWORD}\n")
            watching.stdin.flush()
            line = watching.stdout.readline()
        finally:
            watching.kill()
    assert line.startswith("CHANGE_TYPE_")
    assert token in line
