"""Obligations of `Images`. The `scratch` fixture creates an image of its own."""

import re

import pytest

from contract.containers import IDLE, IMAGE
from contract.harness import SCRAP, DriverHarness
from proad.errors import ImageNotFoundError, InUseError, RegistryDeniedError
from proad.model import ContainerSpec, Image, ImageFilter, PullProgress, RegistryCredentials
from proad.ports import Images


def images(harness: DriverHarness) -> Images:
    assert isinstance(harness.driver, Images)
    return harness.driver


class ImagesContract:
    async def test_list_images_has_the_image(self, harness: DriverHarness):
        listed = [each for each in await images(harness).list_images() if IMAGE in each.tags]
        assert len(listed) == 1
        image = listed[0]
        assert re.fullmatch("sha256:[0-9a-f]{64}", image.id)
        assert image.size_bytes > 0
        assert image.create_time is not None
        assert image == Image(
            id=image.id,
            tags=image.tags,
            digests=image.digests,
            create_time=image.create_time,
            size_bytes=image.size_bytes,
            labels=image.labels,
        )

    async def test_get_image_by_name_and_id_is_the_same(self, harness: DriverHarness):
        image = await images(harness).get_image(IMAGE)
        assert IMAGE in image.tags
        assert (image.os, image.architecture) == ("linux", "amd64")
        assert await images(harness).get_image(image.id) == image

    async def test_get_image_missing_is_not_found(self, harness: DriverHarness):
        with pytest.raises(ImageNotFoundError) as caught:
            await images(harness).get_image("missing/image:0")
        assert caught.value.metadata == {"image": "missing/image:0"}

    async def test_list_images_filter_by_reference_matches(
        self, harness: DriverHarness, scratch: str
    ):
        everything = await images(harness).list_images()
        assert sum(scratch in each.tags for each in everything) == 1
        for reference in (scratch, scratch.replace(":1", ":*"), scratch.removesuffix(":1")):
            found = await images(harness).list_images(ImageFilter(reference=reference))
            assert [scratch in each.tags for each in found] == [True], reference
        assert await images(harness).list_images(ImageFilter(reference="missing/*:*")) == []

    async def test_list_images_filter_by_label_and_name_matches(
        self, harness: DriverHarness, scratch: str
    ):
        labelled = await images(harness).list_images(ImageFilter(labels={"proa-test": "none"}))
        assert labelled == []
        named = await images(harness).list_images(ImageFilter(dangling=False))
        assert any(scratch in each.tags for each in named)
        nameless = await images(harness).list_images(ImageFilter(dangling=True))
        assert not any(scratch in each.tags for each in nameless)

    async def test_delete_image_is_gone(self, harness: DriverHarness, scratch: str):
        image = await images(harness).get_image(scratch)
        deleted = await images(harness).delete_image(scratch)
        assert scratch in deleted.untagged
        assert image.id in deleted.deleted
        with pytest.raises(ImageNotFoundError):
            await images(harness).get_image(scratch)
        with pytest.raises(ImageNotFoundError):
            await images(harness).delete_image(scratch)

    async def test_delete_image_in_use_is_refused(self, harness: DriverHarness, scratch: str):
        spec = ContainerSpec(image=scratch, name=harness.new_name(), command=IDLE)
        user = (await harness.containers.create_container(spec, start=True)).resource
        image = await images(harness).get_image(scratch)
        for force in (False, True):
            with pytest.raises(InUseError) as caught:
                await images(harness).delete_image(image.id, force=force)
            assert caught.value.metadata["image"] == image.id
        assert await images(harness).get_image(scratch) == image
        await harness.driver.delete(user.id, SCRAP)
        await images(harness).delete_image(scratch)


class PullsContract:
    """Obligations of pulls. The `registry` fixture names a registry with

    REGISTRY/open/image:1, which anybody pulls, and REGISTRY/denied/image:1, which wants
    user "proa" with the password "right".
    """

    async def test_pull_streams_progress_and_the_image(self, harness: DriverHarness, registry: str):
        name = f"{registry}/open/image:1"
        items = [item async for item in images(harness).pull_image(name)]
        assert isinstance(items[-1], Image)
        assert name in items[-1].tags
        progress = items[:-1]
        assert progress
        assert all(isinstance(item, PullProgress) and item.status for item in progress)
        again = [item async for item in images(harness).pull_image(name)]
        assert again[-1] == items[-1]
        await images(harness).delete_image(name)

    async def test_pull_missing_image_is_not_found(self, harness: DriverHarness, registry: str):
        with pytest.raises(ImageNotFoundError):
            async for _ in images(harness).pull_image(f"{registry}/missing/image:1"):
                pass

    async def test_pull_with_the_right_password_alone_succeeds(
        self, harness: DriverHarness, registry: str
    ):
        name = f"{registry}/denied/image:1"

        async def pull(credentials: RegistryCredentials | None) -> Image | PullProgress:
            events = images(harness).pull_image(name, credentials=credentials)
            return [item async for item in events][-1]

        with pytest.raises(RegistryDeniedError):
            await pull(None)
        wrong = RegistryCredentials(registry=registry, username="proa", password="wrong")
        with pytest.raises(RegistryDeniedError):
            await images(harness).check_credentials(wrong)
        right = RegistryCredentials(registry=registry, username="proa", password="right")
        await images(harness).check_credentials(right)
        with pytest.raises(RegistryDeniedError):
            await pull(None)  # what is checked is not kept
        assert isinstance(await pull(right), Image)
        await images(harness).delete_image(name)
