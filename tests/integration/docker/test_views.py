"""Views of externally made containers match `docker inspect`."""

import asyncio
import secrets
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError, DockerException, NotFound

from free_port import free_ports
from integration.docker.engine_socket import engine_root
from integration.docker.essence import differing, essence
from integration.docker.inspected import expected, shortened, steady
from integration.docker.odd import Ground, Odd, odd_containers
from integration.docker.workloads import DEAF, IMAGE, LABEL
from proad.drivers.docker import DockerDriver
from proad.errors import ResourceNotFoundError
from proad.model import Container, Lifetime, Resource, ResourceState, ResourceView
from requirements import skip_or_fail

pytestmark = pytest.mark.docker

# The fields that the inventory adds, or that no container has.
# Filled in by the core, of domains alone, or never shown to callers.
_NOT_OURS = {
    *("allowed_verbs", "engine", "activity", "etag", "epoch", "revision", "observe_time", "path"),
    *("owner", "owner_id", "deletion_protection", "domain", "creation", "guest_info"),
}
# What was asked for: test_remake.py makes it again.
_ASKED_FOR = {"spec", "spec_omits", "omissions", "display"}
_IMAGE = [
    'ENTRYPOINT ["echo", "a b"]',
    "ENV FROM_IMAGE=1 EMPTY=",
    "VOLUME /data",
    "LABEL from.image=1",
    "HEALTHCHECK CMD true",
    "USER 1000",
]
_AT_ONCE = 4
# Seconds within which each container must be read without changing during the read.
_STEADY = 60


@pytest.fixture(scope="module")
def mark() -> str:
    """The label and name prefix of everything that this module creates."""
    return f"proa-test-{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def ground(
    raw: docker.APIClient, mark: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ground]:
    """Provide what the containers need."""
    name, own = mark, {LABEL: mark}
    tags = (f"{name}-retagged:1", f"{name}-untagged:1")
    with ExitStack() as made:
        network = _network(raw, name)
        made.callback(raw.remove_network, network)
        raw.create_network(f"{name}-2", labels=own)
        made.callback(raw.remove_network, f"{name}-2")
        raw.create_volume(f"{name}-volume", labels=own)
        made.callback(raw.remove_volume, f"{name}-volume")
        made.callback(_remove_images, raw, images := [tags[0]])
        made.callback(_remove_containers, raw, name)
        volumes = ["/from-another"]
        other = raw.create_container(
            IMAGE, list(DEAF), name=f"{name}-other", labels=own, volumes=volumes
        )["Id"]
        raw.start(other)
        # Remove by id as well: the images lose their tags.
        image = f"{name}-image:1"
        images.append(raw.commit(other, repository=f"{name}-image", tag="1", changes=_IMAGE)["Id"])
        for tag in tags:
            changes, repository = [f"ENV TAG={tag}"], tag.removesuffix(":1")
            images.append(raw.commit(other, repository=repository, tag="1", changes=changes)["Id"])
        attached = raw.inspect_network(network)
        subnets = [one["Subnet"] for one in attached["IPAM"]["Config"]]
        yield Ground(
            network=attached["Name"],
            address=subnets[0].removesuffix(".0/24"),
            address6=subnets[1].removesuffix("/64") if len(subnets) > 1 else "",
            second=f"{name}-2",
            volume=f"{name}-volume",
            folder=str(tmp_path_factory.mktemp("bound")),
            other=f"{name}-other",
            tags=tags,
            image=image,
            ports=tuple(free_ports(4)),
            range=free_ports(4),
        )


def _remove_containers(raw: docker.APIClient, mark: str) -> None:
    def remove(id: str) -> None:
        with suppress(APIError):  # a transient container
            raw.remove_container(id, force=True, v=True)

    found = raw.containers(all=True, filters={"label": f"{LABEL}={mark}"})
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(remove, [each["Id"] for each in found]))


def _remove_images(raw: docker.APIClient, ids: Iterable[str]) -> None:
    for id in ids:
        with suppress(NotFound):  # removing its last tag removed the image
            raw.remove_image(id, force=True)


def _network(raw: docker.APIClient, mark: str) -> str:
    """Create a network with fixed subnets, with IPv6 if the engine supports it."""
    number = secrets.randbelow(250)
    pools = [
        docker.types.IPAMPool(subnet=f"10.{200 + number // 5}.{number}.0/24"),
        docker.types.IPAMPool(subnet=f"fd00:{secrets.token_hex(2)}:{secrets.token_hex(2)}::/64"),
    ]
    for count in (2, 1):
        ipam = docker.types.IPAMConfig(pool_configs=pools[:count])
        labels = {LABEL: mark}
        with suppress(DockerException):
            return str(
                raw.create_network(f"{mark}-1", ipam=ipam, enable_ipv6=count == 2, labels=labels)[
                    "Id"
                ]
            )
    raise AssertionError("no network can be made")


@pytest.fixture(scope="module")
def odd(raw: docker.APIClient, mark: str, ground: Ground) -> Mapping[str, Odd]:
    """More than a hundred odd containers, by id; some image tags are moved afterwards."""

    def make(one: Odd) -> str:
        labels = {**one.config.get("Labels", {}), LABEL: mark}
        config = {**one.config, "Labels": labels}
        id = str(raw.create_container_from_config(config, f"{mark}-{one.name}")["Id"])
        for step in one.after.split():
            _do(raw, step, id, ground)
        return id

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        all_of_them = list(odd_containers(ground))
        made = dict(zip(threads.map(make, all_of_them), all_of_them, strict=True))
    retagged, untagged = ground.tags
    raw.tag(IMAGE, retagged.removesuffix(":1"), "1", force=True)
    raw.remove_image(untagged, force=True)
    return made


def _do(raw: docker.APIClient, step: str, id: str, ground: Ground) -> None:
    """Bring a container into the state that its description asks for."""
    match step:
        case "start":
            raw.start(id)
        case "pause":
            raw.start(id)
            raw.pause(id)
        case "end":
            raw.start(id)
            raw.wait(id)
        case "restarting":
            begin = int(time.time()) - 1
            raw.start(id)
            which = {"container": id, "event": "die"}
            with closing(raw.events(since=begin, filters=which)) as deaths:
                for _ in range(5):  # Docker waits for some seconds before the next start
                    next(deaths)
        case "fail":
            with suppress(APIError):
                raw.start(id)
        case "connect":
            raw.connect_container_to_network(id, ground.second, aliases=["x"])
        case "disconnect":
            raw.disconnect_container_from_network(id, "bridge")
        case _:
            raise AssertionError(step)


def plain(resource: Resource) -> dict[str, Any]:
    """Return a view as dictionaries, with unordered collections sorted."""
    found = {key: value for key, value in asdict(resource).items() if key not in _NOT_OURS}
    return ordered(found)


def ordered(view: Mapping[str, Any]) -> dict[str, Any]:
    container = {
        key: value or None for key, value in view["container"].items() if key not in _ASKED_FOR
    }
    for key in ("ports", "mounts", "networks"):
        container[key] = sorted(container[key] or (), key=_key)
    return {**view, "container": container}


def _key(item: Mapping[str, Any]) -> str:
    return repr(sorted(item.items(), key=lambda pair: pair[0]))


def unlike(found: Any, wanted: Any, path: str = "") -> Iterator[str]:
    """Return the differences between two views."""
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        for key in found.keys() | wanted.keys():
            yield from unlike(found.get(key), wanted.get(key), f"{path}.{key}")
    elif found != wanted:
        yield f"{path}: {found!r} is shown, and it is {wanted!r}"


async def compared(
    raw: docker.APIClient,
    odd: Mapping[str, Odd],
    look: Callable[[], Awaitable[Iterable[Resource]]],
    wanted: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    left: set[str],
) -> dict[str, list[str]]:
    """Compare what `look` finds of those that are left, and that do not change meanwhile.

    Returns:
        What is wrong, by what is odd about a container.
    """
    before = {id: steady(raw.inspect_container(id)) for id in left}
    found = {each.id: each for each in await look()}
    wrong = {}
    for id, inspect in before.items():
        if inspect == steady(raw.inspect_container(id)):
            left.discard(id)
            lines = unlike(plain(found[id]), ordered(wanted(expected(inspect))))
            wrong[odd[id].name] = sorted(lines)
    return {name: lines for name, lines in wrong.items() if lines}


def test_odd_containers_are_at_least_a_hundred(odd: Mapping[str, Odd]):
    assert len(odd) >= 100


def test_expected_view_covers_every_model_field(raw: docker.APIClient, odd: Mapping[str, Odd]):
    wanted = expected(raw.inspect_container(next(iter(odd))))
    assert wanted["container"].keys() | _ASKED_FOR == {field.name for field in fields(Container)}
    assert wanted.keys() | _NOT_OURS == {field.name for field in fields(Resource)}


def listed(full: Mapping[str, Any], ground: Ground) -> dict[str, Any]:
    """Return the SUMMARY fields of a FULL view of an externally made container."""
    summary = {**shortened(full), "lifetime": None}
    container = full["container"]
    if container["image"] in ground.tags:  # the tags were moved
        summary["container"] = {**summary["container"], "image": container["image_id"]}
    return summary


@pytest.mark.parametrize("view", ResourceView)
async def test_get_resource_matches_docker_inspect(
    driver: DockerDriver,
    raw: docker.APIClient,
    odd: Mapping[str, Odd],
    ground: Ground,
    view: ResourceView,
):
    wanted = dict if view is ResourceView.FULL else partial(listed, ground=ground)
    for id in odd:

        async def look(id: str = id) -> list[Resource]:
            return [await driver.get_resource(id, view)]

        left = {id}
        async with asyncio.timeout(_STEADY):
            while left:
                assert await compared(raw, odd, look, wanted, left) == {}


async def test_list_resources_matches_docker_inspect(
    driver: DockerDriver, raw: docker.APIClient, odd: Mapping[str, Odd], ground: Ground
):
    nameless = {id for id, one in odd.items() if one.config["Image"] in ground.tags}
    bare = {each["Id"] for each in raw.containers(all=True) if each["Image"] == each["ImageID"]}
    assert nameless
    assert nameless <= bare
    left = set(odd)
    async with asyncio.timeout(_STEADY):
        while left:
            wanted = partial(listed, ground=ground)
            assert await compared(raw, odd, driver.list_resources, wanted, left) == {}


def _hold(file: Path, sign: str) -> None:
    """Set ("+") or clear ("-") the immutable flag of a file."""
    subprocess.run(["chattr", f"{sign}i", file], check=True)


@pytest.fixture
def held(raw: docker.APIClient, mark: str, ground: Ground) -> Iterator[tuple[str, Path]]:
    """The id of a container that the engine failed to remove, and the immutable file in it."""
    id = raw.create_container(IMAGE, ["true"], labels={LABEL: mark})["Id"]
    raw.start(id)
    raw.wait(id)
    layer = raw.inspect_container(id)["GraphDriver"]["Data"].get("UpperDir", "")
    folder = engine_root() / layer.removeprefix("/")
    if not layer or not folder.is_dir():
        skip_or_fail("the layers of this engine's containers lie elsewhere")
    file = folder / "held"
    file.touch()
    _hold(file, "+")
    try:
        with pytest.raises(APIError):
            raw.remove_container(id)
        yield id, file
    finally:
        if file.exists():
            _hold(file, "-")


async def test_views_of_dead_container_are_failed_until_removed(
    driver: DockerDriver, raw: docker.APIClient, held: tuple[str, Path]
):
    """Lists of Docker 20.10 show such a container as being removed for ever."""
    id, file = held
    assert raw.inspect_container(id)["State"]["Status"] == "dead"
    full = await driver.get_resource(id)
    assert full.state is ResourceState.FAILED
    assert file.name in full.state_detail.message
    for _ in range(2):
        listed = {each.id: each for each in await driver.list_resources()}
        for short in (listed[id], await driver.get_resource(id, ResourceView.SUMMARY)):
            assert short.state is full.state
            assert short.state_detail.reason is full.state_detail.reason
    _hold(file, "-")
    await driver.delete(id)
    assert id not in {each.id for each in await driver.list_resources()}


async def test_get_resource_during_forced_removal_is_never_failed(
    driver: DockerDriver, raw: docker.APIClient, mark: str, ground: Ground
):
    """Docker 28 lists the container as dead until the removal has ended."""
    id = raw.create_container(IMAGE, list(DEAF), labels={LABEL: mark})["Id"]
    raw.start(id)
    removal = asyncio.create_task(asyncio.to_thread(raw.remove_container, id, force=True))
    states = set()
    with suppress(ResourceNotFoundError):
        while True:
            states.add((await driver.get_resource(id, ResourceView.SUMMARY)).state)
    await removal
    assert ResourceState.FAILED not in states


async def test_containers_remade_from_their_specifications_are_equal(
    driver: DockerDriver, raw: docker.APIClient, mark: str, ground: Ground, odd: Mapping[str, Odd]
):
    """What the specification says to be all of a container is all of it."""
    told, wrong = 0, {}
    for id, one in odd.items():
        container = (await driver.get_resource(id)).container
        assert container is not None
        assert container.spec is not None
        if container.spec_omits or container.spec.lifetime is Lifetime.TRANSIENT:
            told += bool(container.spec_omits)
            continue
        spec = replace(container.spec, name=f"{mark}-remade")
        if container.image in ground.tags:
            continue  # which mean other images by now
        made = (await driver.create_container(spec)).resource
        try:
            again, first = (essence(raw.inspect_container(each)) for each in (made.id, id))
            if again != first:
                wrong[one.name] = differing(first, again)
        finally:
            await driver.delete(made.id)
    assert told
    assert not wrong, "\n".join(f"{name}: {what}" for name, what in wrong.items())
