"""ImageService: container images and registries."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

import grpc

from proa import v1
from proa.v1 import image_service_pb2_grpc
from proad.core.image_operations import ImageOperations
from proad.model import Image, ImageFilter, RegistryCredentials
from proad.rpc.decode import decode, plain_text, required_text
from proad.rpc.encode import encode
from proad.rpc.paging import Paginator

_Context = grpc.aio.ServicerContext[Any, Any]


class ImageService(image_service_pb2_grpc.ImageServiceServicer):
    """Converts, delegates to the core, converts."""

    def __init__(self, images: ImageOperations, paginator: Paginator) -> None:
        self._images = images
        self._paginator = paginator

    async def ListImages(
        self, request: v1.ListImagesRequest, context: _Context
    ) -> v1.ListImagesResponse:
        images = await self._images.list(decode(ImageFilter, request), host=request.host)
        images.sort(key=_position, reverse=True)
        page, token = self._paginator.paginate(
            images, request, _position, partial(encode, v1.Image), newest_first=True
        )
        return v1.ListImagesResponse(images=page, next_page_token=token)

    async def GetImage(self, request: v1.GetImageRequest, context: _Context) -> v1.GetImageResponse:
        image = await self._images.get(required_text(request, "image"), host=request.host)
        return v1.GetImageResponse(image=encode(v1.Image, image))

    async def PullImage(
        self, request: v1.PullImageRequest, context: _Context
    ) -> AsyncIterator[v1.PullImageResponse]:
        events = self._images.pull(
            required_text(request, "image"),
            platform=plain_text(request, "platform"),
            host=request.host,
        )
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Image):
                    yield v1.PullImageResponse(image=encode(v1.Image, event))
                else:
                    yield v1.PullImageResponse(progress=encode(v1.PullProgress, event))

    async def DeleteImage(
        self, request: v1.DeleteImageRequest, context: _Context
    ) -> v1.DeleteImageResponse:
        deleted = await self._images.delete(
            required_text(request, "image"), force=request.force, host=request.host
        )
        return encode(v1.DeleteImageResponse, deleted)

    async def LoginRegistry(
        self, request: v1.LoginRegistryRequest, context: _Context
    ) -> v1.LoginRegistryResponse:
        await self._images.login(decode(RegistryCredentials, request), host=request.host)
        return v1.LoginRegistryResponse()

    async def LogoutRegistry(
        self, request: v1.LogoutRegistryRequest, context: _Context
    ) -> v1.LogoutRegistryResponse:
        await self._images.logout(plain_text(request, "registry"), host=request.host)
        return v1.LogoutRegistryResponse()


def _position(image: Image) -> tuple[str, str]:
    return (image.create_time.isoformat() if image.create_time else "", image.id)
