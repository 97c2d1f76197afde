"""Each setting of containers on a real engine: denied without it on every path, works with it."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.types import IPAMConfig, IPAMPool

from hostile_containers.needs import ADDRESS, FOLDERS, NEEDS, TOKEN, Need
from integration.docker.policed import spec_message
from integration.docker.workloads import DEAF, IMAGE, LABEL
from integration.profiled import Profiled, profiled, told
from proa import v1
from proad.drivers.docker import DockerDriver

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("binds_alone")]

STRICT: dict[str, object] = {"foreign": "full"} | {
    each.setting: each.strict for each in NEEDS if each.strict is not None
}
# What a container of others has that the strict profile would have made.
FINE = {
    "NetworkMode": "none",
    "PidsLimit": 100,
    "SecurityOpt": ["no-new-privileges"],
    "Memory": 2**25,
    "NanoCpus": 10**8,
    "ShmSize": 2**20,
    "LogConfig": {"Type": "json-file"},
}


@pytest.fixture
def place(raw: docker.APIClient, token: str) -> Iterator[None]:
    """What the containers refer to, by the test's name."""
    labels = {LABEL: token}
    folder = Path(FOLDERS, token)
    folder.mkdir(mode=0o755)
    raw.tag(IMAGE, f"localhost:5000/{token}", "1")
    raw.create_network(token, labels=labels, ipam=IPAMConfig(pool_configs=[subnet_of(token)]))
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=64k"}
    raw.create_volume(token, driver="local", driver_opts=options, labels=labels)
    raw.create_volume(f"{token}-plain", labels=labels)
    body = {"Image": IMAGE, "Cmd": list(DEAF), "Labels": labels}
    raw.start(raw.create_container_from_config(body, token))
    yield
    for container in raw.containers(all=True, filters={"label": f"{LABEL}={token}"}):
        raw.remove_container(container["Id"], force=True, v=True)
    for volume in (token, f"{token}-plain"):
        raw.remove_volume(volume)
    raw.remove_network(token)
    raw.remove_image(f"localhost:5000/{token}:1")
    folder.rmdir()


def subnet_of(token: str) -> IPAMPool:
    """Return a small network among those that nobody else on this host has."""
    digits = int(token.rpartition("-")[2], 16)
    return IPAMPool(subnet=f"10.{200 + digits % 50}.{digits // 50 % 256}.0/28")


def filled(value: Any, token: str) -> Any:
    """Return a value with the test's name and address in their places."""
    address = subnet_of(token)["Subnet"].replace(".0/28", ".9")
    return json.loads(json.dumps(value).replace(TOKEN, token).replace(ADDRESS, address))


@pytest.fixture
async def served(place: None, need: Need, token: str, tmp_path: Path) -> AsyncIterator[Profiled]:
    """A daemon with a strict profile, and one that has the setting besides."""
    strict = {**STRICT, **filled(need.besides, token)}
    wide = {**strict, need.setting: filled(need.value, token)}
    async with (
        DockerDriver() as driver,
        profiled(tmp_path / "state", driver, {"default": strict, "wide": wide}) as served,
    ):
        yield served


async def made_by_request(need: Need, served: Profiled, because: object, token: str) -> str:
    """Return a container that a caller with the setting made and started."""
    asked = filled(need.spec, token)
    spec = spec_message(
        {
            "image": IMAGE,
            "name": f"{token}-new",
            "command": DEAF,
            "labels": {LABEL: token},
            "networks": [{"network": "none"}],
            **asked,
        }
    )
    plain = {"image": IMAGE, "command": DEAF, "networks": [{"network": "none"}]}
    base = spec_message({**plain, "name": f"{token}-base", "labels": {LABEL: token}})
    other = (await served.call("default", "CreateContainer", spec=base)).resource.id
    change = {"id": other, "update_mask": {"paths": sorted(asked)}}
    for more in ({}, {"validate_only": True}):
        for name, request in (
            ("CreateContainer", {"spec": spec, "start": True}),
            ("RecreateContainer", {**change, "spec": spec}),
            ("UpdateResource", {**change, "container": spec}),
        ):
            assert told(await served.denied("default", name, **request, **more)) == because, name
    made = await served.call("wide", "CreateContainer", spec=spec, start=True)
    return str(made.resource.id)


async def made_by_others(
    need: Need, served: Profiled, because: object, token: str, raw: docker.APIClient
) -> str:
    """Return a container of others that a caller with the setting started."""
    host = {**FINE, **filled(need.host, token)}
    body = {"Image": IMAGE, "Cmd": list(DEAF), "Labels": {LABEL: token}, "HostConfig": host}
    id = str(raw.create_container_from_config(body, f"{token}-new")["Id"])
    for more in ({}, {"validate_only": True}):
        assert told(await served.denied("default", "StartResource", id=id, **more)) == because
    if need.unstartable:
        await served.call("wide", "StartResource", id=id, validate_only=True)
    else:
        await served.call("wide", "StartResource", id=id)
    return id


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: need.setting)
async def test_what_needs_a_setting_is_denied_without_and_works_with_it(
    served: Profiled, raw: docker.APIClient, need: Need, token: str
):
    because = (need.rule, {f"setting {need.setting}"})
    if need.host.get("Runtime", "runc") not in raw.info()["Runtimes"]:
        pytest.skip("this engine has no second runtime: those since 23 have none of their own")
    if need.spec:
        id = await made_by_request(need, served, because, token)
    else:
        id = await made_by_others(need, served, because, token, raw)

    state = raw.inspect_container(id)["State"]
    assert state["Running"] is not bool(need.unstartable)
    for name, request in (
        ("RestartResource", {"mode": v1.RESTART_MODE_FORCE}),
        ("RecreateContainer", {}),
    ):
        assert told(await served.denied("default", name, id=id, **request)) == because, name
    assert raw.inspect_container(id)["State"] == state
    if not need.unstartable:
        raw.kill(id)
        raw.wait(id)  # newer engines do not before they answer
    for more in ({}, {"validate_only": True}):
        assert told(await served.denied("default", "StartResource", id=id, **more)) == because
