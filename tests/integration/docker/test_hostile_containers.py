"""Hostile requests on the real engine: each is denied by its rule, and changes nothing there."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from hostile_containers import FOREIGN, TABLES, Foreign
from integration.docker.policed import Policed, policed, rules_of, spec_message
from integration.docker.workloads import DEAF, IMAGE, LABEL
from proa import v1

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("binds_alone")]

_AT_ONCE = 4
FINE = {"NetworkMode": "none", "PidsLimit": 100, "SecurityOpt": ["no-new-privileges"]}


@pytest.fixture
async def strict(raw: docker.APIClient, folder: Path) -> AsyncIterator[Policed]:
    """A daemon under the default policy."""
    async with policed(folder) as served:
        yield served


@pytest.fixture
def swept(raw: docker.APIClient, token: str) -> Iterator[None]:
    """Removes all containers and volumes of the test at its end."""
    yield
    which = {"label": f"{LABEL}={token}"}
    for container in raw.containers(all=True, filters=which):
        raw.remove_container(container["Id"], force=True, v=True)
    for volume in raw.volumes(filters=which)["Volumes"] or ():
        raw.remove_volume(volume["Name"])


async def own(strict: Policed, token: str, **fields: Any) -> str:
    """Create a container as ann, and return its id."""
    spec = spec_message(
        {"image": IMAGE, "command": DEAF, "labels": {LABEL: token}, "name": token, **fields}
    )
    made = await strict.daemon.call("CreateContainer", spec=spec)
    return str(made.resource.id)


@pytest.mark.parametrize("table", TABLES)
async def test_hostile_request_changes_nothing_on_any_path(
    strict: Policed, swept: None, token: str, table: str
):
    id = await own(strict, token)
    failed = []
    for number, hostile in enumerate(TABLES[table]):
        spec = spec_message({"image": IMAGE, **hostile.spec})
        update = {"update_mask": FieldMask(paths=sorted(hostile.spec))}
        for name, request in (
            ("CreateContainer", {"spec": spec, "start": True}),
            ("CreateContainer", {"spec": spec, "validate_only": True}),
            ("RecreateContainer", {"id": id, "spec": spec, **update}),
            ("RecreateContainer", {"id": id, "spec": spec, **update, "validate_only": True}),
            ("UpdateResource", {"id": id, "container": spec, **update}),
        ):
            error = await strict.denied(name, **request)
            if error.reason != "POLICY_DENIED" or hostile.rule not in rules_of(error):
                failed.append((number, hostile, name, error.reason, error.message))
    assert failed == []


@pytest.fixture
def foreign(raw: docker.APIClient, token: str, swept: None) -> dict[str, Foreign]:
    """The containers of others, by id."""

    def make(one: Foreign) -> str:
        body = {
            "Image": IMAGE,
            "Cmd": list(DEAF),
            "Labels": {LABEL: token},
            **one.config,
            "HostConfig": {**FINE, **one.host},
        }
        if "PortBindings" in one.host or "PublishAllPorts" in one.host:
            body["ExposedPorts"] = {"80/tcp": {}}
        return str(raw.create_container_from_config(body)["Id"])

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return dict(zip(threads.map(make, FOREIGN), FOREIGN, strict=True))


async def test_dangerous_container_of_others_is_not_lent(foreign: dict[str, Foreign], folder: Path):
    async with policed(folder, foreign="full", profiles={"default": {"foreign": "full"}}) as open_:
        failed = []
        for id, one in foreign.items():
            for name, more in (
                ("StartResource", {}),
                ("StartResource", {"validate_only": True}),
                ("RecreateContainer", {}),
            ):
                try:
                    error = await open_.denied(name, id=id, **more)
                except AssertionError as why:
                    failed.append((one, name, "not denied", str(why)[:200]))
                    continue
                if error.reason != "POLICY_DENIED" or one.rule not in rules_of(error):
                    failed.append((one, name, error.reason, error.message))
        assert failed == []


async def test_container_of_others_is_not_started_by_default(
    strict: Policed, raw: docker.APIClient, swept: None, token: str
):
    body = {"Image": IMAGE, "Cmd": list(DEAF), "Labels": {LABEL: token}, "HostConfig": FINE}
    id = raw.create_container_from_config(body)["Id"]
    error = await strict.denied("StartResource", id=id)
    assert rules_of(error) == {"made outside Proa"}


async def test_plain_container_of_others_is_told_all_that_its_start_takes(
    strict: Policed, raw: docker.APIClient, swept: None, token: str
):
    """As `docker run` makes them: who upgrades learns of all settings at once."""
    body = {"Image": IMAGE, "Cmd": list(DEAF), "Labels": {LABEL: token}}
    id = raw.create_container_from_config(body)["Id"]
    error = await strict.denied("StartResource", id=id)
    assert rules_of(error) == {"made outside Proa", "beyond the limit", "new privileges"}
    for setting in ("foreign", "max_pids_limit", "allow_new_privileges"):
        assert f"setting {setting}" in error.message


async def test_harmless_container_of_others_is_started_where_that_is_allowed(
    raw: docker.APIClient, swept: None, token: str, folder: Path
):
    body = {"Image": IMAGE, "Cmd": list(DEAF), "Labels": {LABEL: token}, "HostConfig": FINE}
    id = raw.create_container_from_config(body)["Id"]
    async with policed(folder, foreign="full", profiles={"default": {"foreign": "full"}}) as open_:
        started = await open_.daemon.call("StartResource", id=id)
        assert started.resource.state == v1.RESOURCE_STATE_RUNNING


@pytest.mark.parametrize(
    "options",
    [
        {"type": "none", "o": "bind", "device": "/"},
        {"type": "none", "o": "bind", "device": "/run/docker.sock"},
        {"type": "none", "o": "rbind,rw", "device": "/etc"},
        {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"},
        {"type": "nfs", "device": ":/", "o": "addr=192.0.2.1"},
        {"type": "ext4", "device": "/dev/sda1"},
        {"type": "overlay", "device": "overlay", "o": "lowerdir=/,upperdir=/tmp/u,workdir=/tmp/w"},
    ],
)
async def test_bind_hidden_in_a_volume_is_denied(
    strict: Policed, raw: docker.APIClient, swept: None, token: str, options: dict[str, str]
):
    raw.create_volume(token, driver="local", driver_opts=options, labels={LABEL: token})
    id = await own(strict, token)
    mounts = [v1.Mount(target="/h", volume=v1.VolumeMount(name=token))]
    spec, mask = v1.ContainerSpec(image=IMAGE, mounts=mounts), FieldMask(paths=["mounts"])
    for name, request in (
        ("CreateContainer", {"spec": spec, "start": True}),
        ("RecreateContainer", {"id": id, "spec": spec, "update_mask": mask}),
        ("UpdateResource", {"id": id, "container": spec, "update_mask": mask}),
    ):
        assert rules_of(await strict.denied(name, **request)) == {"volume with options"}


async def test_network_of_another_container_is_denied_however_it_is_named(
    strict: Policed, raw: docker.APIClient, swept: None, token: str
):
    body = {"Image": IMAGE, "Cmd": list(DEAF), "Labels": {LABEL: token}, "HostConfig": FINE}
    other = raw.create_container_from_config(body, f"{token}-other")["Id"]
    mine = await own(strict, token)
    host = next(each["Id"] for each in raw.networks() if each["Name"] == "host")
    for network, rule in (
        (f"container:{token}-other", "joined namespace"),
        (f"container:{other}", "joined namespace"),
        (f"container:{other[:12]}", "joined namespace"),
        (host, "host namespace"),
        (host[:12], "host namespace"),
    ):
        spec = v1.ContainerSpec(image=IMAGE, networks=[v1.NetworkAttachment(network=network)])
        error = await strict.denied("CreateContainer", spec=spec)
        assert rule in rules_of(error), network
    allowed = v1.ContainerSpec(
        image=IMAGE,
        name=f"{token}-mine",
        labels={LABEL: token},
        networks=[v1.NetworkAttachment(network=f"container:{token}")],
    )
    made = (await strict.daemon.call("CreateContainer", spec=allowed)).resource
    # What was judged is what the engine got: the id, and not a name that may change.
    assert raw.inspect_container(made.id)["HostConfig"]["NetworkMode"] == f"container:{mine}"


async def test_everything_that_is_allowed_by_default_works(
    strict: Policed, raw: docker.APIClient, swept: None, token: str
):
    spec = spec_message(
        {
            "image": IMAGE,
            "name": token,
            "command": DEAF,
            "entrypoint": [],
            "env": {"A": "b"},
            "labels": {LABEL: token},
            "working_dir": "/tmp",
            "user": "1000:1000",
            "hostname": "inside",
            "domainname": "proa.test",
            "health_check": {"shell_command": "true", "interval": "30s"},
            "stop_signal": "SIGINT",
            "stop_timeout": "1s",
            "resources": {"memory_bytes": 64 * 2**20, "cpus": 0.5, "pids_limit": 50},
            "ulimits": [{"name": "nofile", "soft": 100, "hard": 200}],
            "shm_size_bytes": 2**20,
            "mounts": [
                {"target": "/t", "tmpfs": {"size_bytes": 2**20}},
                {"target": "/v", "volume": {"name": token}},
                {"target": "/n", "volume": {}},
            ],
            "networks": [{"network": "bridge"}],
            "ports": [
                {"container_port": 80},
                {"container_port": 81, "host_ip": "127.0.0.1", "protocol": "PORT_PROTOCOL_UDP"},
                {"container_port": 82, "host_ip": "127.0.0.2"},
            ],
            "cap_drop": ["ALL"],
            "cap_add": ["CHOWN", "cap_kill"],
            "read_only_root": True,
            "init": True,
            "tty": True,
            "stdin_open": True,
            "restart_policy": {"mode": "RESTART_POLICY_MODE_ON_FAILURE", "max_retries": 2},
            "log_driver": "local",
            "log_options": {"max-size": "1m"},
            "allow_new_privileges": False,
        }
    )
    made = (await strict.daemon.call("CreateContainer", spec=spec, start=True)).resource
    try:
        seen = raw.inspect_container(made.id)
        host = seen["HostConfig"]
        assert made.container.spec_omits == []
        assert host["SecurityOpt"] == ["no-new-privileges"]
        addresses = {each["HostIp"] for bound in host["PortBindings"].values() for each in bound}
        assert addresses == {"127.0.0.1", "127.0.0.2"}
        await strict.daemon.call("RestartResource", id=made.id)
        again = await strict.daemon.call("RecreateContainer", id=made.id)
        await strict.daemon.call("StopResource", id=again.resource.id)
        await strict.daemon.call("StartResource", id=again.resource.id)
    finally:
        await strict.daemon.call("DeleteResource", id=token, force=True)
        await asyncio.to_thread(raw.remove_volume, token)


async def test_plain_container_gets_the_defaults_of_the_profile(
    strict: Policed, raw: docker.APIClient, swept: None, token: str
):
    id = await own(strict, token, ports=[{"container_port": 80}])
    host = raw.inspect_container(id)["HostConfig"]
    assert host["PidsLimit"] == 4096
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["PortBindings"]["80/tcp"][0]["HostIp"] == "127.0.0.1"


async def test_desktop_profile_lets_setuid_programs_work(
    raw: docker.APIClient, swept: None, token: str, folder: Path
):
    async with policed(folder, profiles={"default": {"allow_new_privileges": True}}) as desktop:
        id = await own(desktop, token)
        assert raw.inspect_container(id)["HostConfig"]["SecurityOpt"] == ["no-new-privileges=false"]
