"""A container made again from its own specification is the same but for ids, times and name."""

import string
from dataclasses import replace
from datetime import timedelta
from typing import Any

import docker
import pytest
from hypothesis import HealthCheck as Check
from hypothesis import given, settings
from hypothesis import strategies as st

from integration.docker.essence import essence
from integration.docker.workloads import IMAGE, LABEL, Make
from proad.drivers.docker import DockerDriver
from proad.model import (
    ContainerDisplay,
    ContainerResources,
    ContainerSpec,
    Device,
    DisplayProtocol,
    HealthCheck,
    Lifetime,
    Mount,
    NetworkAttachment,
    PortProtocol,
    PublishedPort,
    RestartPolicy,
    RestartPolicyMode,
    TmpfsMount,
    Ulimit,
    VolumeMount,
)
from resource_details import container_of, spec_of

pytestmark = pytest.mark.docker

MIB = 2**20
WORDS = st.text(string.ascii_letters + "-=./ äß", min_size=1, max_size=12)
NAMES = st.text(string.ascii_letters, min_size=1, max_size=8)
COMMANDS = st.lists(WORDS, max_size=3).map(tuple)
TIMES = st.integers(1, 90_000).map(lambda ms: timedelta(milliseconds=ms))
PORTS = st.builds(
    PublishedPort,
    container_port=st.integers(1, 65535),
    host_ip=st.sampled_from(["", "127.0.0.1"]),
    protocol=st.sampled_from([PortProtocol.TCP, PortProtocol.UDP]),
)
MOUNTS = st.lists(
    st.one_of(
        st.builds(VolumeMount, name=st.just("")),
        st.builds(
            TmpfsMount,
            size_bytes=st.none() | st.integers(1, 8).map(lambda n: n * MIB),
            mode=st.sampled_from([None, 0o700, 0o1777]),
        ),
    ),
    max_size=3,
).map(
    lambda sources: tuple(
        Mount(target=f"/m{number}", volume=source)
        if isinstance(source, VolumeMount)
        else Mount(target=f"/m{number}", tmpfs=source)
        for number, source in enumerate(sources)
    )
)
LIMITS = st.builds(
    ContainerResources,
    memory_bytes=st.sampled_from([None, 0, 64 * MIB]),
    memory_reservation_bytes=st.sampled_from([None, 0, 32 * MIB]),
    cpus=st.sampled_from([None, 0.0, 0.5, 1.25]),
    cpuset_cpus=st.sampled_from(["", "0"]),
    cpu_shares=st.sampled_from([None, 0, 512]),
    pids_limit=st.sampled_from([None, 0, 77]),
)
CHECKS = st.one_of(
    st.none(),
    st.just(HealthCheck(disabled=True)),
    st.builds(
        HealthCheck,
        command=st.lists(WORDS, min_size=1, max_size=2).map(tuple),
        interval=st.none() | TIMES,
        timeout=st.none() | TIMES,
        retries=st.integers(0, 5),
        start_period=st.none() | TIMES,
    ),
    st.builds(HealthCheck, shell_command=WORDS, interval=st.none() | TIMES),
)
POLICIES = st.sampled_from(
    [
        RestartPolicy(),
        RestartPolicy(mode=RestartPolicyMode.ALWAYS),
        RestartPolicy(mode=RestartPolicyMode.ON_FAILURE, max_retries=2),
    ]
)
SPECS = st.builds(
    ContainerSpec,
    image=st.just(IMAGE),
    command=COMMANDS,
    entrypoint=st.sampled_from([(), ("",), ("sh", "-c")]),
    env=st.dictionaries(NAMES, WORDS, max_size=3),
    working_dir=st.sampled_from([None, "/tmp"]),
    user=st.sampled_from(["", "1000:1000"]),
    hostname=st.sampled_from(["", "hull"]),
    domainname=st.sampled_from(["", "proa.test"]),
    labels=st.dictionaries(NAMES, WORDS, max_size=2),
    ports=st.lists(PORTS, max_size=2, unique_by=lambda port: port.container_port).map(tuple),
    mounts=MOUNTS,
    networks=st.sampled_from(
        [(), (NetworkAttachment(network="none"),), (NetworkAttachment(network="bridge"),)]
    ),
    dns_servers=st.sampled_from([(), ("192.0.2.53", "2001:db8::53")]),
    dns_search=st.sampled_from([(), ("proa.test",)]),
    extra_hosts=st.sampled_from([{}, {"a": "192.0.2.1", "b": "2001:db8::1"}]),
    resources=LIMITS,
    shm_size_bytes=st.sampled_from([None, 0, 128 * MIB]),
    ulimits=st.sampled_from([(), (Ulimit(name="nofile", soft=100, hard=200),)]),
    restart_policy=POLICIES,
    health_check=CHECKS,
    init=st.none() | st.booleans(),
    tty=st.booleans(),
    stdin_open=st.booleans(),
    read_only_root=st.booleans(),
    cap_add=st.sampled_from([(), ("NET_ADMIN",)]),
    cap_drop=st.sampled_from([(), ("ALL",)]),
    devices=st.sampled_from([(), (Device(host_path="/dev/null", container_path="/dev/n"),)]),
    group_add=st.sampled_from([(), ("1234", "audio")]),
    sysctls=st.sampled_from([{}, {"net.ipv4.ip_unprivileged_port_start": "80"}]),
    stop_signal=st.sampled_from(["", "SIGINT"]),
    stop_timeout=st.sampled_from([None, timedelta(0), timedelta(seconds=7)]),
    lifetime=st.just(Lifetime.PERSISTENT),
    log_driver=st.sampled_from(["", "json-file", "none"]),
    display=st.none()
    | st.builds(
        ContainerDisplay,
        protocol=st.sampled_from(DisplayProtocol),
        port=st.integers(1, 65535),
    ),
    env_unset=st.sampled_from([(), ("_UNSET",)]),
    allow_new_privileges=st.sampled_from([None, True, False]),
).filter(lambda spec: spec.command or spec.entrypoint != ("",))


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[Check.function_scoped_fixture, Check.too_slow],
)
@given(spec=SPECS)
async def test_container_remade_from_its_specification_is_the_same(
    driver: DockerDriver, make: Make, raw: docker.APIClient, token: str, spec: ContainerSpec
):
    spec = replace(spec, labels={**spec.labels, LABEL: token})
    made = (await driver.create_container(spec)).resource
    try:
        assert container_of(made).spec_omits == ()
        again = (await driver.create_container(replace(spec_of(made), name=""))).resource
        try:
            first, second = (essence(raw.inspect_container(id)) for id in (made.id, again.id))
            assert first == second
            assert replace(spec_of(again), name="") == replace(spec_of(made), name="")
        finally:
            await driver.delete(again.id)
    finally:
        await driver.delete(made.id)


def _shared_mount() -> docker.types.Mount:
    return docker.types.Mount("/b", "/tmp", type="bind", propagation="rshared")


def _disguised_bind() -> docker.types.Mount:
    options = docker.types.DriverConfig("local", {"type": "none", "o": "bind", "device": "/tmp"})
    return docker.types.Mount("/b", None, type="volume", driver_config=options)


FOREIGN: list[tuple[dict[str, Any], str]] = [
    ({"privileged": True}, "HostConfig.Privileged"),
    ({"security_opt": ["seccomp=unconfined"]}, "HostConfig.SecurityOpt"),
    ({"pid_mode": "host"}, "HostConfig.PidMode"),
    ({"ipc_mode": "host"}, "HostConfig.IpcMode"),
    ({"oom_score_adj": 100}, "HostConfig.OomScoreAdj"),
    ({"cgroup_parent": "/proa-test"}, "HostConfig.CgroupParent"),
    ({"publish_all_ports": True}, "HostConfig.PublishAllPorts"),
    ({"dns_opt": ["ndots:3"]}, "HostConfig.DnsOptions"),
    ({"binds": ["/tmp:/b:rshared"]}, "HostConfig.Binds.rshared"),
    ({"mounts": [_shared_mount()]}, "HostConfig.Mounts.BindOptions.Propagation"),
    ({"mounts": [_disguised_bind()]}, "HostConfig.Mounts.VolumeOptions.DriverConfig"),
    ({"tmpfs": {"/t": "uid=1000"}}, "HostConfig.Tmpfs"),
    ({"port_bindings": {80: "48000-48010"}}, "HostConfig.PortBindings"),
]


@pytest.mark.parametrize(("host", "name"), FOREIGN, ids=[name for _, name in FOREIGN])
async def test_setting_that_the_contract_cannot_express_is_told(
    driver: DockerDriver, raw: docker.APIClient, make: Make, token: str, host: Any, name: str
):
    made = raw.create_container(
        IMAGE, labels={LABEL: token}, host_config=raw.create_host_config(**host)
    )
    omits = container_of(await driver.get_resource(made["Id"])).spec_omits
    assert name in omits


@pytest.mark.parametrize("first", [True, False])
async def test_mac_address_that_was_asked_for_is_told(
    driver: DockerDriver, raw: docker.APIClient, token: str, *, first: bool
):
    for name in (token, f"{token}-2"):
        raw.create_network(name)
    version = await driver.probe()
    address = {"MacAddress": "02:42:ac:11:00:99"}
    body: dict[str, Any] = {
        "Image": IMAGE,
        "Cmd": ["sleep", "1000"],
        "Labels": {LABEL: token},
        "HostConfig": {"NetworkMode": token},
        "NetworkingConfig": {"EndpointsConfig": {token: address if first else {}}},
    }
    new_api = tuple(map(int, version.api_version.split("."))) >= (1, 44)
    if first and not new_api:
        body |= address
    id = raw.create_container_from_config(body)["Id"]
    try:
        if not first:
            raw.post(
                f"{raw.base_url}/v{raw.api_version}/networks/{token}-2/connect",
                json={"Container": id, "EndpointConfig": address},
            ).raise_for_status()
        told = container_of(await driver.get_resource(id)).spec_omits
        assert any("MacAddress" in each for each in told), told
        if first:
            raw.start(id)
            told = container_of(await driver.get_resource(id)).spec_omits
            assert told == ("Config.MacAddress",)
    finally:
        raw.remove_container(id, force=True)
        for name in (token, f"{token}-2"):
            raw.remove_network(name)


async def test_specification_leaves_out_what_the_image_gives_and_keeps_all_without_it(
    driver: DockerDriver, raw: docker.APIClient, make: Make, token: str
):
    source = await make(start=False)
    changes = ["ENV A=image B=image", "LABEL of=image proa.display=vnc:5901", "USER 7", "VOLUME /v"]
    tag = f"{token}:1"
    image = raw.commit(source.id, repository=token, tag="1", changes=changes)["Id"]
    try:
        made = await make("sleep", "1", image=tag, start=False, env={"A": "own"}, env_unset=("B",))
        asked = spec_of(made)
        assert (asked.env, asked.env_unset) == ({"A": "own"}, ("B",))
        assert (asked.user, asked.mounts, asked.display) == ("", (), None)
        assert asked.labels == {}  # the image took over that of its source
        assert container_of(made).env == {"A": "own"}
        assert container_of(made).display == ContainerDisplay(
            protocol=DisplayProtocol.VNC, port=5901
        )
    finally:
        raw.remove_image(image, force=True)
    async with DockerDriver() as other:  # which has not seen the image
        kept = spec_of(await other.get_resource(made.id))
    assert (kept.user, kept.labels["of"], kept.env) == ("7", "image", {"A": "own"})
    assert kept.display == ContainerDisplay(protocol=DisplayProtocol.VNC, port=5901)
    assert [mount.target for mount in kept.mounts] == ["/v"]


async def test_display_label_that_nobody_can_read_is_ignored(make: Make):
    made = await make(start=False, labels={"proa.display": "smoke signals"})
    assert (container_of(made).display, spec_of(made).display) == (None, None)
    assert spec_of(made).labels["proa.display"] == "smoke signals"
