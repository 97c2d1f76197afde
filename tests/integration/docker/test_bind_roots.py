"""Bind mounts within roots, on the real engine: what could lead elsewhere later is denied."""

import os
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from hostile_containers.needs import FOLDERS
from integration.docker.policed import Policed, policed, rules_of, spec_message
from integration.docker.workloads import DEAF, IMAGE, LABEL
from proa import v1

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("binds_alone")]


@pytest.fixture
def root() -> Iterator[Path]:
    """A root that belongs to root alone, where no other test binds what is above."""
    with tempfile.TemporaryDirectory(prefix="proa-test-", dir=FOLDERS) as name:
        made = Path(name) / "root"
        made.parent.chmod(0o755)
        (made / "data").mkdir(parents=True, mode=0o755)
        yield made


@pytest.fixture
async def served(raw: docker.APIClient, folder: Path, root: Path) -> AsyncIterator[Policed]:
    roots = {"bind_roots": [str(root)]}
    async with policed(folder / "daemon", **roots, profiles={"default": roots}) as served:
        yield served


@pytest.fixture
def swept(raw: docker.APIClient, token: str) -> Iterator[None]:
    yield
    for container in raw.containers(all=True, filters={"label": f"{LABEL}={token}"}):
        raw.remove_container(container["Id"], force=True, v=True)


def bound(token: str, *sources: Path | str, read_only: bool = False) -> v1.ContainerSpec:
    """Return a specification with these sources mounted."""
    mounts = [
        {"target": f"/m{index}", "read_only": read_only, "bind": {"source": str(source)}}
        for index, source in enumerate(sources)
    ]
    fields: dict[str, Any] = {"image": IMAGE, "command": DEAF, "labels": {LABEL: token}}
    return spec_message({**fields, "networks": [{"network": "none"}], "mounts": mounts})


async def rule(served: Policed, spec: v1.ContainerSpec) -> set[str]:
    return rules_of(await served.denied("CreateContainer", spec=spec, start=True))


async def test_root_and_what_is_below_are_mounted(
    served: Policed, swept: None, token: str, root: Path
):
    (root / "file").write_text("x")
    for source in (root, root / "data", root / "file"):
        spec = bound(token, source, read_only=True)
        made = await served.daemon.call("CreateContainer", spec=spec, start=True)
        assert made.resource.state == v1.RESOURCE_STATE_RUNNING
        await served.daemon.call("DeleteResource", id=made.resource.id, force=True)


@pytest.mark.parametrize("spelled", ["/../x", "//data", "/./data", "/data/", "/data/."])
async def test_source_in_another_spelling_is_denied(
    served: Policed, swept: None, token: str, root: Path, spelled: str
):
    error = await served.denied("CreateContainer", spec=bound(token, f"{root}{spelled}"))
    assert error.reason in {"POLICY_DENIED", "INVALID_ARGUMENT"}


async def test_link_below_a_root_is_denied(served: Policed, swept: None, token: str, root: Path):
    (root / "link").symlink_to("/usr/share")
    (root / "data" / "up").symlink_to("..")
    for source in (root / "link", root / "link" / "doc", root / "data" / "up" / "data"):
        assert await rule(served, bound(token, source)) == {"link in a path"}


async def test_link_to_a_socket_of_an_engine_is_a_protected_path(
    served: Policed, swept: None, token: str, root: Path
):
    (root / "sock").symlink_to("/var/run/docker.sock")
    (root / "hard").mkdir()
    os.link("/run/docker.sock", root / "hard" / "s") if _same_device(root) else None
    assert await rule(served, bound(token, root / "sock")) == {"protected path"}


def _same_device(root: Path) -> bool:
    return root.stat().st_dev == Path("/run/docker.sock").stat().st_dev


@pytest.mark.parametrize("change", [0o777, 0o775, 0o757])
async def test_folder_that_others_may_write_to_is_denied(
    served: Policed, swept: None, token: str, root: Path, change: int
):
    inner = root / "shared" / "inner"
    inner.mkdir(parents=True)
    (root / "shared").chmod(change)
    assert await rule(served, bound(token, inner)) == {"folder of others"}
    (root / "shared").chmod(0o755)
    os.chown(root / "shared", 1234, 0)
    assert await rule(served, bound(token, inner)) == {"folder of others"}


async def test_source_itself_may_be_of_anybody(
    served: Policed, swept: None, token: str, root: Path
):
    os.chown(root / "data", 1234, 1234)
    (root / "data").chmod(0o777)
    await served.daemon.call("CreateContainer", spec=bound(token, root / "data"))


async def test_socket_pipe_and_device_are_denied(
    served: Policed, swept: None, token: str, root: Path
):
    os.mkfifo(root / "pipe")
    os.mknod(root / "device", 0o600 | 0o020000, os.makedev(1, 3))
    for source in (root / "pipe", root / "device"):
        assert await rule(served, bound(token, source)) == {"neither file nor folder"}


async def test_source_that_is_not_there_is_denied(
    served: Policed, swept: None, token: str, root: Path
):
    assert await rule(served, bound(token, root / "not" / "there")) == {"missing path"}


async def test_state_of_the_daemon_is_protected(
    served: Policed, swept: None, token: str, root: Path, folder: Path
):
    async with policed(
        folder / "other",
        bind_roots=[str(folder)],
        profiles={"default": {"bind_roots": [str(folder)]}},
    ) as other:
        state = folder / "other" / "state"
        for source in (folder, folder / "other", state, state / "keys", state / "proa.db"):
            error = await other.denied("CreateContainer", spec=bound(token, source))
            assert rules_of(error) == {"protected path"}, source


async def test_folder_that_is_swapped_for_a_link_is_denied_at_start(
    served: Policed, swept: None, token: str, root: Path
):
    made = (await served.daemon.call("CreateContainer", spec=bound(token, root / "data"))).resource
    (root / "data").rename(root / "old")
    (root / "data").symlink_to("/usr/share")
    for name in ("StartResource", "RecreateContainer"):
        assert rules_of(await served.denied(name, id=made.id)) == {"link in a path"}
    (root / "data").unlink()
    (root / "old").rename(root / "data")
    root.chmod(0o777)
    # The root itself is others' now, and could be swapped between a check and the engine's use.
    assert rules_of(await served.denied("StartResource", id=made.id)) == {"folder of others"}
    root.chmod(0o755)
    await served.daemon.call("StartResource", id=made.id)


async def test_folder_that_is_swapped_all_the_time_is_never_mounted(
    served: Policed, swept: None, token: str, root: Path
):
    shared = root / "shared"
    (shared / "dir").mkdir(parents=True)
    (shared / "link").symlink_to("/usr/share")
    shared.chmod(0o777)
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            for name in ("dir", "link"):
                (shared / name).rename(shared / "x")
                (shared / "x").rename(shared / name)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(50):
            found = await rule(served, bound(token, shared / "dir"))
            assert found <= {"folder of others", "link in a path", "missing path"}
    finally:
        done.set()
        thread.join()


async def test_source_inside_a_writable_mount_is_denied(
    served: Policed, swept: None, token: str, root: Path
):
    (root / "data" / "inner").mkdir()
    await served.daemon.call("CreateContainer", spec=bound(token, root / "data"))
    assert await rule(served, bound(token, root / "data" / "inner")) == {"inside a writable mount"}


async def test_writable_mount_around_another_mount_is_denied(
    served: Policed, swept: None, token: str, root: Path
):
    (root / "data" / "inner").mkdir()
    await served.daemon.call("CreateContainer", spec=bound(token, root / "data" / "inner"))
    found = await rule(served, bound(token, root / "data"))
    assert found == {"writable mount around another"}
    spec = bound(token, root / "data", read_only=True)
    await served.daemon.call("CreateContainer", spec=spec)


async def test_mount_inside_a_writable_mount_of_the_same_container_is_denied(
    served: Policed, swept: None, token: str, root: Path
):
    (root / "data" / "inner").mkdir()
    spec = bound(token, root / "data", root / "data" / "inner")
    assert await rule(served, spec) == {"inside a writable mount"}


async def test_source_inside_a_hidden_bind_of_a_container_of_others_is_denied(
    served: Policed, raw: docker.APIClient, swept: None, token: str, root: Path
):
    (root / "data" / "inner").mkdir()
    options = {"type": "none", "o": "bind", "device": str(root / "data")}
    raw.create_volume(token, driver="local", driver_opts=options)
    try:
        body = {"Image": IMAGE, "Labels": {LABEL: token}, "HostConfig": {"Binds": [f"{token}:/v"]}}
        made = raw.create_container_from_config(body)["Id"]
        await served.daemon.call("GetResource", id=made)
        found = await rule(served, bound(token, root / "data" / "inner"))
        assert found == {"inside a writable mount"}
        raw.remove_container(made)
    finally:
        raw.remove_volume(token)
