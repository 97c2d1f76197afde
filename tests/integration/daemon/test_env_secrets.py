"""Secrets in the environment of containers, on real Docker: the process has them, no view does."""

import hashlib
from collections.abc import Callable

import docker
import pytest

import proa
from eventually import wait_until
from integration.daemon.conftest import Daemon
from proa import v1

IMAGE = "proa-test/busybox:1"
CANARY = "canary-2187"
DIGEST = hashlib.sha256(CANARY.encode()).hexdigest()
TELL = ["sh", "-c", 'printf %s "$PASSWORD" | sha256sum; exec sleep 600']
REDACTED = {"PASSWORD": v1.EnvSecret(redacted=True)}


def spec(name: str, secret: v1.EnvSecret) -> v1.ContainerSpec:
    return v1.ContainerSpec(image=IMAGE, name=name, command=TELL, env_secret={"PASSWORD": secret})


def shown(client: proa.Client, name: str) -> v1.Container:
    return client.resources.GetResource(v1.GetResourceRequest(id=name)).resource.container


@pytest.mark.docker
def test_process_has_the_secret_that_no_view_shows(
    start_daemon: Callable[..., Daemon], token: str, swept: Callable[[proa.Client], None]
):
    raw = docker.APIClient()

    def has_secret(name: str) -> None:
        wait_until(lambda: DIGEST in raw.logs(name).decode(), "the process has told its secret")

    client = start_daemon().client()
    swept(client)
    create = client.containers.CreateContainer
    create(v1.CreateContainerRequest(spec=spec(token, v1.EnvSecret(value=CANARY)), start=True))
    has_secret(token)
    container = shown(client, token)
    assert dict(container.spec.env_secret) == REDACTED
    assert container.spec_omits == []
    assert CANARY not in str(container)
    assert CANARY not in str(raw.inspect_container(token)["Config"]["Labels"])

    client.containers.RecreateContainer(v1.RecreateContainerRequest(id=token))
    has_secret(token)
    assert dict(shown(client, token).spec.env_secret) == REDACTED

    copy = spec(f"{token}-copy", v1.EnvSecret(redacted=True))
    create(v1.CreateContainerRequest(spec=copy, secrets_from=token, start=True))
    has_secret(copy.name)
    assert dict(shown(client, copy.name).spec.env_secret) == REDACTED


@pytest.mark.docker
def test_label_of_an_image_hides_no_variable(
    start_daemon: Callable[..., Daemon], token: str, swept: Callable[[proa.Client], None]
):
    """What an image was committed from had secrets; the containers made from it have not."""
    raw = docker.APIClient()
    client = start_daemon().client()
    swept(client)
    made = v1.CreateContainerRequest(spec=spec(token, v1.EnvSecret(value=CANARY)))
    client.containers.CreateContainer(made)
    image = raw.commit(token, repository=token, tag="1")["Id"]
    try:
        raw.create_container(image, ["true"], name=f"{token}-other")

        assert dict(shown(client, f"{token}-other").spec.env_secret) == {}
    finally:
        raw.remove_container(f"{token}-other", force=True)
        raw.remove_image(image, force=True)
