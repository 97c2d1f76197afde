"""What the image of a new container is, and gives it unasked, on the real engine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from integration.docker.policed import rules_of
from integration.docker.private_images import pullers
from integration.docker.test_image_ledger import NETWORKLESS, upload_runnable
from integration.docker.test_images import cleaned, registries
from integration.docker.workloads import DEAF, IMAGE
from proad.drivers.docker import DockerDriver
from proad.model import ContainerSpec, CreatedContainer, Footprint

pytestmark = pytest.mark.docker
__all__ = ["cleaned", "registries"]

PLACES = {
    "a folder of the host": {"WorkingDir": "/proc/self/fd/7"},
    "processes": {"Volumes": {"/proc": {}}},
    "the kernel": {"Volumes": {"/data": {}, "/sys/../sys/kernel": {}}},
}


class Moving(DockerDriver):
    """Moves a name to another image between the check of a create and its first step."""

    def __init__(self, raw: docker.APIClient) -> None:
        super().__init__()
        self._raw = raw
        self.moves: tuple[str, str, str] | None = None

    def _moved(self, options: dict[str, Any]) -> dict[str, Any]:
        announce = options["announce"]

        async def announced(footprint: Footprint) -> None:
            await announce(footprint)
            if self.moves is not None:
                self._raw.tag(*self.moves)

        return {**options, "announce": announced}

    async def create_container(self, spec: ContainerSpec, **options: Any) -> CreatedContainer:
        return await super().create_container(spec, **self._moved(options))

    async def recreate_container(
        self, id: str, spec: ContainerSpec, **options: Any
    ) -> CreatedContainer:
        return await super().recreate_container(id, spec, **self._moved(options))


@pytest.fixture(autouse=True)
def swept(raw: docker.APIClient, cleaned: str, token: str) -> Iterator[None]:
    """Removes the containers of the test at its end, before their images."""
    yield
    for container in raw.containers(all=True, filters={"name": token}):
        raw.remove_container(container["Id"], force=True, v=True)


def commit(raw: docker.APIClient, name: str, **config: Any) -> str:
    """Make an image that runs, and return its id."""
    made = raw.create_container(IMAGE, ["true"])
    repository, _, tag = name.rpartition(":")
    id = raw.commit(made["Id"], repository=repository, tag=tag, conf=config)["Id"]
    raw.remove_container(made["Id"])
    return str(id)


def containers(raw: docker.APIClient, token: str) -> list[tuple[str, str]]:
    """Return the names and the images of the containers of a test."""
    return [
        (each["Names"][0], each["ImageID"])
        for each in raw.containers(all=True, filters={"name": token})
    ]


@pytest.mark.parametrize("config", PLACES.values(), ids=PLACES)
async def test_image_that_brings_a_place_of_the_kernel_is_denied(
    raw: docker.APIClient, tmp_path: Path, cleaned: str, token: str, config: dict[str, Any]
):
    fine, bad = f"{cleaned}:fine", f"{cleaned}:bad"
    commit(raw, fine, WorkingDir="/tmp", Volumes={"/data": {}})
    commit(raw, bad, **config)
    async with pullers(tmp_path / "state") as (ann, _, olga):
        for puller in (ann, olga):
            name = f"{token}-{puller.tenant.name}"
            box = await puller.tenant.container(
                name, image=fine, command=DEAF, networks=NETWORKLESS
            )
            before = containers(raw, token)
            spec = {"image": bad, "command": DEAF, "networks": NETWORKLESS, "name": f"{token}-new"}
            for more in ({}, {"start": True}, {"validate_only": True}):
                refused = await puller.tenant.refused("CreateContainer", spec=spec, **more)
                assert rules_of(refused) == {"unmasked path"}
            for more in ({}, {"validate_only": True}):
                mask = {"paths": ["image"]}
                refused = await puller.tenant.refused(
                    "RecreateContainer", id=box.id, spec={"image": bad}, update_mask=mask, **more
                )
                assert rules_of(refused) == {"unmasked path"}
            assert containers(raw, token) == before


async def test_name_that_moves_to_an_image_of_others_gives_it_to_nobody(
    raw: docker.APIClient, tmp_path: Path, registries: tuple[str, str], cleaned: str, token: str
):
    """The engine resolves the name again, after all that was asked of it."""
    private, public = f"{registries[1]}/{cleaned}/secret:1", f"{cleaned}:public"
    id = upload_runnable(raw, private)
    plain = commit(raw, public)
    driver = Moving(raw)
    async with pullers(tmp_path / "state", *registries, driver=driver) as (ann, bob, _):
        await ann.login(registries[1])
        await ann.pull(private)
        spec = {"image": public, "command": DEAF, "networks": NETWORKLESS}
        box = await bob.tenant.container(f"{token}-old", **spec)
        before = containers(raw, token)
        driver.moves = (id, cleaned, "public")
        for method, request in (
            ("CreateContainer", {"spec": {**spec, "name": f"{token}-new"}, "start": True}),
            ("RecreateContainer", {"id": box.id, "spec": {}, "update_mask": {"paths": ["labels"]}}),
        ):
            raw.tag(plain, cleaned, "public")
            refused = await bob.tenant.refused(method, **request)
            assert refused.reason == "ENGINE_CONFLICT"
            assert "has become another one" in refused.message
            assert id not in str(refused)
            assert raw.inspect_image(public)["Id"] == id
            assert containers(raw, token) == before
