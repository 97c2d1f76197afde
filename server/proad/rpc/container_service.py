"""ContainerService: creating, recreating and pruning containers."""

from typing import Any

import grpc

from proa import v1
from proa.v1 import container_service_pb2_grpc
from proad.core.container_pruner import ContainerPruner
from proad.core.provisioning import Provisioning
from proad.core.recreation import Recreator
from proad.model import ContainerSpec, PruneFilter
from proad.rpc.decode import decode, decode_update, plain_text, required, required_text
from proad.rpc.encode import encode

_Context = grpc.aio.ServicerContext[Any, Any]


class ContainerService(container_service_pb2_grpc.ContainerServiceServicer):
    """Converts, delegates to the core, converts."""

    def __init__(
        self, provisioning: Provisioning, recreator: Recreator, pruner: ContainerPruner
    ) -> None:
        self._provisioning = provisioning
        self._recreator = recreator
        self._pruner = pruner

    async def CreateContainer(
        self, request: v1.CreateContainerRequest, context: _Context
    ) -> v1.CreateContainerResponse:
        spec = decode(ContainerSpec, required(request, "spec"), prefix="spec")
        created = await self._provisioning.create_container(
            spec,
            start=request.start,
            host=request.host,
            secrets_from=plain_text(request, "secrets_from"),
        )
        return encode(v1.CreateContainerResponse, created)

    async def RecreateContainer(
        self, request: v1.RecreateContainerRequest, context: _Context
    ) -> v1.RecreateContainerResponse:
        update = decode_update(ContainerSpec, request.spec, request.update_mask, prefix="spec")
        made = await self._recreator.recreate(
            required_text(request, "id"), update, etag=plain_text(request, "etag")
        )
        return encode(v1.RecreateContainerResponse, made)

    async def PruneContainers(
        self, request: v1.PruneContainersRequest, context: _Context
    ) -> v1.PruneContainersResponse:
        which = decode(PruneFilter, request)
        pruned = await self._pruner.prune(which, host=request.host)
        return encode(v1.PruneContainersResponse, pruned)
