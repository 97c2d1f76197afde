"""Images of a closed registry on a real engine: for all but their users as if they were not there."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from integration.docker.private_images import Puller, lying_registry, pullers
from integration.docker.registry import PASSWORD, USER
from integration.docker.test_images import cleaned, registries
from integration.docker.workloads import DEAF, IMAGE
from proad.drivers.docker import DockerDriver
from proad.model import Image, PullProgress
from rpc.every_rpc import outcome, told
from rpc.same_time import check_same_time

pytestmark = pytest.mark.docker
__all__ = ["cleaned", "registries"]

GONE = "IMAGE_NOT_FOUND"
NETWORKLESS = [{"network": "none"}]


@pytest.fixture
def private(raw: docker.APIClient, registries: tuple[str, str], cleaned: str) -> tuple[str, str]:
    """The name and the id of an image in the closed registry, which the engine does not have."""
    name = f"{registries[1]}/{cleaned}:1"
    return name, upload_runnable(raw, name)


@pytest.fixture
def given(raw: docker.APIClient, registries: tuple[str, str], cleaned: str) -> tuple[str, str, str]:
    """The public and the private name of an image in both registries, and its id."""
    opened, closed = registries
    public, private = f"{opened}/{cleaned}:1", f"{closed}/{cleaned}/secret:1"
    return public, private, upload_runnable(raw, private, public)


@pytest.fixture(autouse=True)
def swept(raw: docker.APIClient, cleaned: str, token: str) -> Iterator[None]:
    """Removes the containers of the test at its end, before their images."""
    yield
    for container in raw.containers(all=True, filters={"name": token}):
        raw.remove_container(container["Id"], force=True, v=True)


def upload_runnable(raw: docker.APIClient, *names: str) -> str:
    """Push an image that runs to registries, remove it from the host, and return its id."""
    made = raw.create_container(IMAGE, ["true"], labels={"proa-test": names[0]})
    repository, _, tag = names[0].rpartition(":")
    id = raw.commit(made["Id"], repository=repository, tag=tag)["Id"]
    raw.remove_container(made["Id"])
    for name in names:
        repository, _, tag = name.rpartition(":")
        raw.tag(id, repository, tag)
        push(raw, name)
    raw.remove_image(id, force=True)
    return str(id)


def push(raw: docker.APIClient, name: str) -> None:
    credentials = {"username": USER, "password": PASSWORD}
    for line in raw.push(name, stream=True, decode=True, auth_config=credentials):
        assert "error" not in line, line


def uses(image: str, name: str) -> dict[str, dict[str, Any]]:
    """The calls that use an image, by their name."""
    spec = {"image": image}
    return {
        "GetImage": {"image": image},
        "DeleteImage": {"image": image, "force": True},
        "CreateContainer": {"spec": spec},
        "RecreateContainer": {"id": name, "spec": spec, "update_mask": {"paths": ["image"]}},
    }


async def run(puller: Puller, name: str, image: str) -> Any:
    return await puller.tenant.container(name, image=image, command=DEAF, networks=NETWORKLESS)


async def test_private_image_is_not_there_for_others_by_any_name(
    raw: docker.APIClient,
    tmp_path: Path,
    registries: tuple[str, str],
    private: tuple[str, str],
    token: str,
):
    name, id = private
    async with pullers(tmp_path / "state", *registries) as (ann, bob, _):
        await ann.login(registries[1])
        image = await ann.pull(name)
        assert image.id == id
        box = await run(ann, f"{token}-ann", name)
        await run(bob, f"{token}-bob", IMAGE)
        before = raw.inspect_image(id), raw.inspect_container(box.id)

        (digest,) = image.digests
        nobodys = name.replace(token, "proa-test-nobody")
        for written, other in (
            (name, nobodys),
            (id, f"sha256:{'0' * 64}"),
            (id.removeprefix("sha256:"), "0" * 64),
            (id.removeprefix("sha256:")[:12], "0" * 12),
            (digest, digest.replace(token, "proa-test-nobody")),
            (f"{name}@{digest.partition('@')[2]}", f"{nobodys}@{digest.partition('@')[2]}"),
        ):
            missing = uses(other, f"{token}-bob")
            for method, fields in uses(written, f"{token}-bob").items():
                for request, nothing in (
                    (fields, missing[method]),
                    (fields | {"validate_only": True}, missing[method] | {"validate_only": True}),
                )[: 1 if method == "GetImage" else 2]:
                    refused = await outcome(bob.tenant, method, request)
                    gone = await outcome(bob.tenant, method, nothing)
                    assert refused.reason == GONE, (method, written, refused)
                    assert told(refused, written) == told(gone, other)
            assert (await ann.tenant.call("GetImage", image=written)).image.id == id
        assert not await bob.sees(id)
        assert not await bob.sees(id, reference=f"{registries[1]}/*")
        assert await ann.sees(id, reference=f"{registries[1]}/*")
        assert (await bob.fails_to_pull(name)).reason == "REGISTRY_DENIED"
        assert (raw.inspect_image(id), raw.inspect_container(box.id)) == before


async def test_private_image_takes_the_time_of_a_missing_one(
    tmp_path: Path, registries: tuple[str, str], private: tuple[str, str], token: str
):
    name, id = private
    nobodys = name.replace(token, "proa-test-nobody")
    async with pullers(tmp_path / "state", *registries) as (ann, bob, _):
        await ann.login(registries[1])
        await ann.pull(name)
        for method, hidden, nothing in (
            ("GetImage", {"image": name}, {"image": nobodys}),
            ("DeleteImage", {"image": id}, {"image": f"sha256:{'0' * 64}"}),
            ("CreateContainer", {"spec": {"image": name}}, {"spec": {"image": nobodys}}),
        ):
            await check_same_time(bob.tenant, method, [hidden], [nothing], samples=20)


async def test_own_credentials_give_an_image_which_each_deletes_alone(
    raw: docker.APIClient, tmp_path: Path, registries: tuple[str, str], private: tuple[str, str]
):
    name, id = private
    async with pullers(tmp_path / "state", *registries) as (ann, bob, _):
        for each in (ann, bob):
            await each.login(registries[1])
            await each.pull(name)
        await ann.tenant.call("LogoutRegistry", registry=registries[1])
        assert await ann.sees(id)

        deleted = await ann.tenant.call("DeleteImage", image=name, force=True)

        assert (list(deleted.untagged), list(deleted.deleted)) == ([name], [])
        assert not await ann.sees(id)
        assert name in await bob.names_of(id)
        assert raw.inspect_image(name)["Id"] == id
        assert id in (await bob.tenant.call("DeleteImage", image=name)).deleted


async def test_ledger_holds_over_a_death_in_the_middle_and_another_pull(
    tmp_path: Path, registries: tuple[str, str], private: tuple[str, str]
):
    """The engine has the image before the daemon knows that the pull is over."""

    class Dying(DockerDriver):
        async def pull_image(
            self, name: str, **options: Any
        ) -> AsyncGenerator[PullProgress | Image, None]:
            async for event in super().pull_image(name, **options):
                if isinstance(event, Image):
                    raise RuntimeError("it dies")  # noqa: TRY004 - stands for a kill
                yield event

    name, id = private
    async with pullers(tmp_path / "state", *registries, driver=Dying()) as (ann, bob, _):
        await ann.login(registries[1])
        assert (await ann.fails_to_pull(name)).code == "INTERNAL"
        assert await ann.sees(id)
        assert not await bob.sees(id)
    for _ in range(2):
        async with pullers(tmp_path / "state", *registries) as (ann, bob, _):
            assert await ann.sees(id)
            assert not await bob.sees(id)
            refused = await bob.tenant.refused("CreateContainer", spec={"image": id})
            assert refused.reason == GONE
            await ann.login(registries[1])
            await ann.pull(name)
            assert not await bob.sees(id)


async def test_registry_that_names_the_id_of_an_image_does_not_give_it(
    raw: docker.APIClient,
    tmp_path: Path,
    registries: tuple[str, str],
    private: tuple[str, str],
    token: str,
):
    name, id = private
    with lying_registry(id) as liar:
        async with pullers(tmp_path / "state", *registries, liar) as (ann, bob, olga):
            await ann.login(registries[1])
            await ann.pull(name)
            lie = f"{liar}/{token}:1"
            for _ in range(2):  # without and with credentials
                assert (await bob.fails_to_pull(lie)).reason == GONE
                for written in (lie, name, id):
                    refused = await bob.tenant.refused("CreateContainer", spec={"image": written})
                    assert refused.reason == GONE
                assert not await bob.sees(id)
                assert raw.inspect_image(id)["RepoTags"] == [name]
                await bob.login(liar)
            assert await ann.sees(id)
            assert not await olga.sees(id)


async def test_image_that_a_registry_gives_everybody_is_everybodys_without_private_names(
    raw: docker.APIClient,
    tmp_path: Path,
    registries: tuple[str, str],
    given: tuple[str, str, str],
    cleaned: str,
):
    opened, closed = registries
    public, private, id = given
    async with pullers(tmp_path / "state", *registries) as (ann, bob, _):
        await ann.login(closed)
        await ann.pull(private)
        assert not await bob.sees(id)

        assert (await bob.pull(public)).id == id

        assert {each.partition(cleaned)[0] for each in await bob.names_of(id)} == {f"{opened}/"}
        assert private in await ann.names_of(id)
        assert not await bob.sees(id, reference=f"{closed}/*/*")
        assert await bob.sees(id, reference=f"{opened}/*")
        for method in ("GetImage", "DeleteImage"):
            assert (await bob.tenant.refused(method, image=private)).reason == GONE
        await bob.tenant.call("DeleteImage", image=id, force=True)
        assert raw.inspect_image(id)["RepoTags"] == [private]
        assert await ann.names_of(id)


async def test_image_that_everybody_had_stays_everybodys_without_private_names(
    tmp_path: Path, registries: tuple[str, str], given: tuple[str, str, str]
):
    public, private, id = given
    async with pullers(tmp_path / "state", *registries) as (ann, bob, _):
        await bob.pull(public)
        await ann.login(registries[1])
        await ann.pull(private)

        assert private in await ann.names_of(id)
        assert "secret" not in str(await bob.names_of(id))
        assert (await bob.tenant.refused("GetImage", image=private)).reason == GONE
        assert (await bob.tenant.refused("DeleteImage", image=private)).reason == GONE
        deleted = await bob.tenant.call("DeleteImage", image=public)
        assert list(deleted.deleted) == []
        assert private in await ann.names_of(id)


async def test_pull_past_the_daemon_takes_nothing_and_gives_nothing(
    raw: docker.APIClient, tmp_path: Path, registries: tuple[str, str], private: tuple[str, str]
):
    name, id = private
    async with pullers(tmp_path / "state", *registries) as (ann, bob, _):
        await ann.login(registries[1])
        await ann.pull(name)
        raw.pull(name, auth_config={"username": USER, "password": PASSWORD})
        assert await ann.sees(id)
        assert not await bob.sees(id)


@pytest.mark.parametrize("state", ["running", "stopped"])
async def test_forced_delete_spares_what_containers_of_others_use(
    raw: docker.APIClient, tmp_path: Path, cleaned: str, token: str, state: str
):
    name = f"{cleaned}/app:1"
    raw.tag(IMAGE, f"{cleaned}/app", "1")
    made = raw.create_container(IMAGE, ["true"])
    id = raw.commit(made["Id"], repository=f"{cleaned}/app", tag="1")["Id"]
    raw.remove_container(made["Id"])
    async with pullers(tmp_path / "state") as (ann, bob, _):
        box = await ann.tenant.container(
            f"{token}-ann", start=state == "running", image=name, command=DEAF, networks=NETWORKLESS
        )
        for written in (name, id):
            for more in ({}, {"force": True}, {"force": True, "validate_only": True}):
                refused = await bob.tenant.refused("DeleteImage", image=written, **more)
                assert (refused.reason, refused.metadata["used_by"]) == ("IN_USE", "")
                assert box.id[:12] not in str(refused)
                assert box.name not in refused.message
        assert raw.inspect_image(name)["Id"] == id
        await ann.tenant.call("DeleteResource", id=box.id, force=True)
        assert id in (await bob.tenant.call("DeleteImage", image=name)).deleted
