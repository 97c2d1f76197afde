"""Images on the host, and pulls from real registries, open and closed ones."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import docker
import pytest

from eventually import eventually
from integration.docker.archives import archive
from integration.docker.registry import (
    PASSWORD,
    USER,
    find_registry,
    serve_registry,
    slow_road,
)
from integration.docker.workloads import DEAF, Make
from proad.drivers.docker import DockerDriver
from proad.errors import (
    ImageNotFoundError,
    InUseError,
    InvalidArgumentError,
    ProaError,
    RegistryDeniedError,
    RegistryUnreachableError,
    SeveralNamesError,
)
from proad.model import Image, ImageFilter, PullProgress, RegistryCredentials

pytestmark = pytest.mark.docker

MIB = 2**20
BODY = "planted-in-the-body"


def build(raw: docker.APIClient, *tags: str, size: int = 1000) -> str:
    """Create an image with these tags and return its id."""
    changes = ['CMD ["a","b c"]', 'ENTRYPOINT ["/e"]', "ENV X=y=z", "EXPOSE 80", "LABEL k=v"]
    repository, _, tag = tags[0].rpartition(":")
    content = archive(random=secrets.token_bytes(size))  # content that no other image shares
    raw.import_image_from_data(content, repository=repository, tag=tag, changes=changes)
    for more in tags[1:]:
        repository, _, tag = more.rpartition(":")
        raw.tag(tags[0], repository, tag)
    return str(raw.inspect_image(tags[0])["Id"])


@pytest.fixture
def cleaned(raw: docker.APIClient, token: str) -> Iterator[str]:
    """A repository name; images with the test's token in their names are deleted at the end."""
    yield token
    for image in raw.images():
        for name in (image["RepoTags"] or []) + (image["RepoDigests"] or []):
            if token in name:
                raw.remove_image(image["Id"], force=True)
                break


@pytest.fixture(scope="module")
def registries(
    raw: docker.APIClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """The addresses of an open registry and of a closed one."""
    if find_registry() is None:
        if os.environ.get("PROA_REQUIRE_ENGINES") == "1":
            pytest.fail("docker-registry is not installed; deploy/test-services.sh does it")
        pytest.skip("docker-registry is not installed; deploy/test-services.sh does it")
    folder: Path = tmp_path_factory.mktemp("registry")
    with (
        serve_registry(folder / "open") as opened,
        serve_registry(folder / "closed", closed=True) as closed,
    ):
        yield opened, closed


def upload(raw: docker.APIClient, name: str, *, size: int = 1000) -> str:
    """Push a new image to a registry and remove it from the host."""
    id = build(raw, name, size=size)
    credentials = {"username": USER, "password": PASSWORD}
    for line in raw.push(name, stream=True, decode=True, auth_config=credentials):
        assert "error" not in line, line
    raw.remove_image(name)
    return id


async def pull(
    driver: DockerDriver, name: str, credentials: RegistryCredentials | None = None
) -> tuple[list[PullProgress], Image]:
    events = driver.pull_image(name, credentials=credentials)
    *steps, image = [item async for item in events]
    assert isinstance(image, Image)
    assert all(isinstance(step, PullProgress) for step in steps)
    return steps, image  # type: ignore[return-value] # asserted above


@asynccontextmanager
async def talkative(status: str, headers: str = "") -> AsyncIterator[str]:
    """A server that is not a registry and answers every request with a status and a body."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(1) == b"\x16":  # the engine tries TLS first
            writer.close()
            return
        await reader.readuntil(b"\r\n\r\n")
        body = f'{{"errors": [{{"code": "UNKNOWN", "message": "{BODY}", "detail": "{BODY}"}}]}}'
        writer.write(
            f"HTTP/1.1 {status} {BODY}\r\nContent-Length: {len(body)}\r\n{headers}"
            f"Connection: close\r\n\r\n{body}".encode()
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


class TestNonRegistry:
    @pytest.mark.parametrize("status", ["200", "400", "403", "404", "500"])
    async def test_pull_and_login_errors_hide_response_body(
        self, driver: DockerDriver, status: str
    ):
        async with talkative(status) as address:
            with pytest.raises(ProaError) as pulled:
                await pull(driver, f"{address}/x:1")
            wrong = RegistryCredentials(registry=address, username="u", password="p")
            login = None
            try:
                await driver.check_credentials(wrong)
            except ProaError as error:
                login = error

        for refused in filter(None, (pulled.value, login)):
            assert BODY not in f"{refused} {vars(refused)}"
        assert login is not None or status == "200"

    async def test_pull_error_hides_token_realm(self, driver: DockerDriver):
        async with talkative("403") as inside:
            realm = f'WWW-Authenticate: Bearer realm="http://{inside}/secret",service="x"\r\n'
            async with talkative("401", realm) as address:
                with pytest.raises(ProaError) as pulled:
                    await pull(driver, f"{address}/x:1")

        assert BODY not in f"{pulled.value} {vars(pulled.value)}"
        assert inside not in f"{pulled.value} {vars(pulled.value)}"


class TestHostImages:
    async def test_get_image_by_name_or_id_returns_details(
        self, driver: DockerDriver, raw: docker.APIClient, cleaned: str
    ):
        id = build(raw, f"{cleaned}/a:1", f"{cleaned}/b:latest")
        image = await driver.get_image(f"{cleaned}/b")
        assert image.id == id
        assert set(image.tags) == {f"{cleaned}/a:1", f"{cleaned}/b:latest"}
        assert (image.entrypoint, image.command) == (("/e",), ("a", "b c"))
        assert image.env["X"] == "y=z"
        assert image.exposed_ports == ("80/tcp",)
        assert image.labels == {"k": "v"}
        assert (image.os, image.architecture) == ("linux", raw.inspect_image(id)["Architecture"])
        assert image.size_bytes == 1000
        assert await driver.get_image(id) == image

    async def test_list_images_with_filter_returns_matches(
        self, driver: DockerDriver, raw: docker.APIClient, cleaned: str
    ):
        first, second = build(raw, f"{cleaned}/a:1"), build(raw, f"{cleaned}/b:2")
        everything = {image.id: image for image in await driver.list_images()}
        assert everything[first].tags == (f"{cleaned}/a:1",)
        assert everything[first].create_time is not None
        for which, expected in (
            (ImageFilter(reference=f"{cleaned}/*"), {first, second}),
            (ImageFilter(reference=f"{cleaned}/*:2"), {second}),
            (ImageFilter(reference=f"{cleaned}/*", labels={"k": "v"}), {first, second}),
            (ImageFilter(reference=f"{cleaned}/*", labels={"k": "w"}), set()),
            (ImageFilter(reference=f"{cleaned}/a", dangling=False), {first}),
        ):
            assert {image.id for image in await driver.list_images(which)} == expected
        raw.tag(f"{cleaned}/b:2", f"{cleaned}/a", "1", force=True)  # the image of a:1 loses its tag
        dangling = {
            image.id: image for image in await driver.list_images(ImageFilter(dangling=True))
        }
        assert dangling[first].tags == ()
        assert second not in dangling
        raw.remove_image(first)

    async def test_delete_image_with_several_names_requires_force(
        self, driver: DockerDriver, raw: docker.APIClient, cleaned: str
    ):
        one, two = f"{cleaned}/a:1", f"{cleaned}/b:2"
        id = build(raw, one, two)
        with pytest.raises(SeveralNamesError) as caught:
            await driver.delete_image(id)
        assert caught.value.metadata == {"image": id, "names": f"{one},{two}"}
        assert (
            f"has the names {one}, {two}; delete each by its name, or set force to delete"
            in str(caught.value)
        )
        gone = await driver.delete_image(one)
        assert (gone.untagged, gone.deleted) == ((one,), ())
        gone = await driver.delete_image(two)
        assert gone.untagged == (two,)
        assert id in gone.deleted
        with pytest.raises(ImageNotFoundError):
            await driver.delete_image(two)
        id = build(raw, one, two)
        gone = await driver.delete_image(id, force=True)
        assert set(gone.untagged) == {one, two}
        assert id in gone.deleted

    async def test_delete_image_in_use_raises_in_use(
        self, driver: DockerDriver, raw: docker.APIClient, make: Make, cleaned: str
    ):
        name = f"{cleaned}/a:1"
        raw.commit((await make(start=False)).id, repository=f"{cleaned}/a", tag="1")
        user = await make(*DEAF, image=name)
        for force in (False, True):  # force does not help while the container runs
            with pytest.raises(InUseError) as caught:
                await driver.delete_image(await image_id(driver, name), force=force)
            assert caught.value.metadata["used_by"] == user.name
            assert caught.value.message.endswith("; delete what uses it first")
        raw.kill(user.id)
        with pytest.raises(InUseError, match=r"; delete what uses it first, or set force$"):
            await driver.delete_image(name)
        assert name in (await driver.delete_image(name, force=True)).untagged

    async def test_delete_image_with_child_names_the_child(
        self, driver: DockerDriver, raw: docker.APIClient, make: Make, cleaned: str
    ):
        raw.commit((await make(start=False)).id, repository=f"{cleaned}/a", tag="1")
        raw.commit((await make(start=False, image=f"{cleaned}/a:1")).id, f"{cleaned}/b", tag="1")
        id = await image_id(driver, f"{cleaned}/a:1")
        for container in raw.containers(all=True, filters={"ancestor": f"{cleaned}/a:1"}):
            raw.remove_container(container["Id"])
        await driver.delete_image(f"{cleaned}/a:1")
        with pytest.raises(InUseError) as caught:
            await driver.delete_image(id, force=True)
        assert caught.value.metadata["used_by"] == f"{cleaned}/b:1"

    @pytest.mark.parametrize("name", ["proa-test/none", "proa-test/none:1", "sha256:" + "0" * 64])
    async def test_image_calls_with_unknown_name_raise_image_not_found(
        self, driver: DockerDriver, name: str
    ):
        for call in (driver.get_image, driver.delete_image):
            with pytest.raises(ImageNotFoundError) as caught:
                await call(name)
            assert caught.value.metadata == {"image": name}

    @pytest.mark.parametrize(
        "name", ["", "..", "../containers/json", "a//b", "A B", "NO/NO", "ü", "\0"]
    )
    async def test_image_calls_with_invalid_name_name_field(self, driver: DockerDriver, name: str):
        for call in (driver.get_image, driver.delete_image, lambda name: pull(driver, name)):
            with pytest.raises(InvalidArgumentError) as caught:
                await call(name)
            assert caught.value.violations[0].field == "image"


async def image_id(driver: DockerDriver, name: str) -> str:
    return (await driver.get_image(name)).id


class TestPull:
    async def test_pull_image_reports_progress_and_returns_image(
        self, driver: DockerDriver, raw: docker.APIClient, registries: tuple[str, str], cleaned: str
    ):
        name = f"{registries[0]}/{cleaned}:latest"
        id = upload(raw, name, size=4 * MIB)
        steps, image = await pull(driver, name.removesuffix(":latest"))
        assert image.id == id
        assert name in image.tags
        assert any(s.layer_id and s.total_bytes > MIB and s.current_bytes for s in steps)
        assert any(not s.layer_id and s.status for s in steps)
        again, same = await pull(driver, name)
        assert same == image
        assert not any(step.total_bytes for step in again)
        by_digest = image.digests[0]
        raw.remove_image(id, force=True)
        assert (await pull(driver, by_digest))[1].id == id

    async def test_pull_image_with_unknown_name_raises_image_not_found(
        self, driver: DockerDriver, registries: tuple[str, str]
    ):
        for registry in registries:
            credentials = RegistryCredentials(registry=registry, username=USER, password=PASSWORD)
            for name in (f"{registry}/proa-test/none", f"{registry}/proa-test/none:1"):
                with pytest.raises(ImageNotFoundError) as caught:
                    await pull(driver, name, credentials)
                assert caught.value.metadata == {"image": name}

    async def test_pull_image_without_registry_raises_registry_unreachable(
        self, driver: DockerDriver
    ):
        with pytest.raises(RegistryUnreachableError):
            await pull(driver, "127.0.0.1:1/proa-test/none")

    async def test_pull_image_when_closed_ends_download(
        self, driver: DockerDriver, raw: docker.APIClient, registries: tuple[str, str], cleaned: str
    ):
        upload(raw, f"{registries[0]}/{cleaned}:1", size=8 * MIB)
        async with slow_road(registries[0]) as road:
            async with aclosing(driver.pull_image(f"{road.address}/{cleaned}:1")) as pulling:
                async for step in pulling:
                    assert isinstance(step, PullProgress)
                    if step.current_bytes:
                        break
                assert road.travellers

            async def hung_up() -> bool:
                return not road.travellers

            await eventually(hung_up, within=15)  # without the close, it would end after 25 s
        with pytest.raises(ImageNotFoundError):
            await driver.get_image(f"{road.address}/{cleaned}:1")

    async def test_pull_image_when_cancelled_frees_thread(
        self, raw: docker.APIClient, registries: tuple[str, str]
    ):
        """Cancel before the engine has sent the first byte."""
        async with DockerDriver(threads=1) as driver, slow_road(registries[0]) as road:
            road.blocked = b"/manifests/"

            async def under_way() -> bool:
                return road.stuck > 0

            pulling = asyncio.create_task(pull(driver, f"{road.address}/proa-test/x:1"))
            await eventually(under_way)
            pulling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await pulling
            async with asyncio.timeout(15):
                with pytest.raises(ImageNotFoundError):
                    await pull(driver, f"{registries[0]}/proa-test/none")


class TestCredentials:
    async def test_pull_with_credentials_keeps_none_for_the_next(
        self, driver: DockerDriver, raw: docker.APIClient, registries: tuple[str, str], cleaned: str
    ):
        registry = registries[1]
        name = f"{registry}/{cleaned}:1"
        id = upload(raw, name)
        right = RegistryCredentials(registry=registry, username=USER, password=PASSWORD)
        with pytest.raises(RegistryDeniedError) as caught:
            await pull(driver, name)
        assert caught.value.metadata["registry"] == registry
        await driver.check_credentials(right)
        assert (await pull(driver, name, right))[1].id == id
        raw.remove_image(name)
        with pytest.raises(RegistryDeniedError):
            await pull(driver, name)

    async def test_check_credentials_with_wrong_password_raises_registry_denied(
        self, driver: DockerDriver, registries: tuple[str, str]
    ):
        registry = registries[1]
        for wrong in (
            RegistryCredentials(registry=registry, username=USER, password="x"),
            RegistryCredentials(registry=registry, username="bob", password=PASSWORD),
        ):
            with pytest.raises(RegistryDeniedError) as caught:
                await driver.check_credentials(wrong)
            assert PASSWORD not in str(caught.value)
            assert "user name or password is wrong" in caught.value.message
            assert "LoginRegistry" not in caught.value.message

    async def test_check_credentials_without_registry_raises_registry_unreachable(
        self, driver: DockerDriver
    ):
        nowhere = RegistryCredentials(registry="127.0.0.1:1", username="a", password="b")
        with pytest.raises(RegistryUnreachableError):
            await driver.check_credentials(nowhere)
