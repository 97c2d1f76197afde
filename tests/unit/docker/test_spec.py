"""Request bodies for the Engine API, where defaults matter."""

from datetime import timedelta

import pytest

from proad.drivers.docker.images import check_name
from proad.drivers.docker.labels import CREATION_LABEL
from proad.drivers.docker.registries import split_reference
from proad.drivers.docker.spec import changes, creation, whole_seconds
from proad.errors import InvalidArgumentError
from proad.model import (
    ContainerSpec,
    HealthCheck,
    Lifetime,
    NetworkAttachment,
    RestartPolicy,
    RestartPolicyMode,
)
from updating import container_update


def test_creation_with_image_only_sends_no_defaults():
    assert creation(ContainerSpec(image="debian"), "1") == {
        "Image": "debian",
        "Labels": {CREATION_LABEL: "1"},
        "HostConfig": {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}},
    }


def test_creation_of_transient_container_sets_auto_remove():
    body = creation(ContainerSpec(image="debian", lifetime=Lifetime.TRANSIENT), "1")
    assert body["HostConfig"]["AutoRemove"] is True


def test_creation_with_zero_stop_timeout_sends_it():
    body = creation(ContainerSpec(image="debian", stop_timeout=timedelta(0)), "1")
    assert body["StopTimeout"] == 0
    assert whole_seconds(timedelta(milliseconds=1)) == 1
    assert whole_seconds(None) is None


@pytest.mark.parametrize("init", [True, False])
def test_creation_with_init_set_sends_it(init):
    body = creation(ContainerSpec(image="debian", init=init), "1")
    assert body["HostConfig"]["Init"] is init


def test_creation_with_empty_entrypoint_clears_it():
    assert creation(ContainerSpec(image="debian", entrypoint=("",)), "1")["Entrypoint"] == [""]


@pytest.mark.parametrize("network", ["none", "host", "container:web"])
def test_creation_with_built_in_network_sends_no_endpoint(network: str):
    spec = ContainerSpec(image="debian", networks=(NetworkAttachment(network=network),))
    body = creation(spec, "1")
    assert body["HostConfig"]["NetworkMode"] == network
    assert "NetworkingConfig" not in body


def test_creation_with_networks_sends_the_first_only():
    networks = (NetworkAttachment(network="a", aliases=("x",)), NetworkAttachment(network="b"))
    body = creation(ContainerSpec(image="debian", networks=networks), "1")
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"a": {"Aliases": ["x"]}}}


@pytest.mark.parametrize(
    ("check", "body"),
    [
        (HealthCheck(disabled=True), {"Test": ["NONE"]}),
        (HealthCheck(shell_command="a b"), {"Test": ["CMD-SHELL", "a b"]}),
        (HealthCheck(command=("a", "b")), {"Test": ["CMD", "a", "b"]}),
        (HealthCheck(interval=timedelta(milliseconds=1)), {"Interval": 1_000_000}),
    ],
)
def test_creation_with_health_check_sends_it(check: HealthCheck, body: dict[str, object]):
    assert creation(ContainerSpec(image="debian", health_check=check), "1")["Healthcheck"] == body


def test_changes_of_update_have_set_fields_only():
    assert changes(ContainerSpec(image="debian"), frozenset()) == {}
    policy = RestartPolicy(mode=RestartPolicyMode.ON_FAILURE, max_retries=2)
    update = container_update(cpus=0.1, pids_limit=0, memory_swap_bytes=-1, restart_policy=policy)
    assert isinstance(update.spec, ContainerSpec)
    assert changes(update.spec, update.paths) == {
        "NanoCpus": 100_000_000,
        "PidsLimit": 0,
        "MemorySwap": -1,
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2},
    }


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("debian", ("debian", "latest")),
        ("debian:12", ("debian", "12")),
        ("registry:5000/debian", ("registry:5000/debian", "latest")),
        ("registry:5000/a/debian:12", ("registry:5000/a/debian", "12")),
        ("debian@sha256:0a", ("debian", "sha256:0a")),
        ("registry:5000/debian:12@sha256:0a", ("registry:5000/debian:12", "sha256:0a")),
    ],
)
def test_image_reference_when_valid_is_split(name: str, parts: tuple[str, str]):
    assert split_reference(name) == parts


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/../b",
        "a//b",
        "/a",
        "a/",
        "a b",
        "a?b",
        "a#b",
        "a%2fb",
        "ü",
        "a" * 501,
    ],
)
def test_image_reference_when_invalid_is_refused(name: str):
    with pytest.raises(InvalidArgumentError) as caught:
        check_name(name, "spec.image")
    assert caught.value.violations[0].field == "spec.image"
