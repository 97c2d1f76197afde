"""The docker driver: containers and images of one Docker Engine."""

import asyncio
import os
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Never, Self

from proad.drivers.delegated_files import DelegatedFiles
from proad.drivers.docker.archive.files import ContainerFiles
from proad.drivers.docker.archive.room import Room
from proad.drivers.docker.attachments import DockerAttachments
from proad.drivers.docker.commands import ContainerCommands
from proad.drivers.docker.consoles import ContainerConsoles
from proad.drivers.docker.create import ContainerCreator
from proad.drivers.docker.delete import ContainerDeleter
from proad.drivers.docker.errors import ENGINE
from proad.drivers.docker.http.api import filters
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.images import DockerImages
from proad.drivers.docker.lifecycle import ContainerLifecycle
from proad.drivers.docker.logs import ContainerLogs
from proad.drivers.docker.port_forwarding import ContainerPorts
from proad.drivers.docker.put_back import PutBack
from proad.drivers.docker.reader import ContainerReader
from proad.drivers.docker.recovery import ContainerRecovery
from proad.drivers.docker.recreate import ContainerRecreator
from proad.drivers.docker.registries import Registries
from proad.drivers.docker.stats import ContainerStatsCollector
from proad.drivers.docker.stop import STOP_MODES, ContainerStopper
from proad.drivers.docker.subscription import subscribed
from proad.drivers.docker.timing import DockerTiming
from proad.drivers.docker.unix_sockets import ContainerSockets
from proad.drivers.docker.update import ContainerUpdater
from proad.drivers.threads import DEFAULT_TIMEOUT
from proad.drivers.tolerant import INT32
from proad.drivers.under_way import CreatesUnderWay
from proad.errors import EngineConflictError, EngineTimedOutError
from proad.model import (
    Capability,
    CommandSpec,
    CommandStreams,
    ContainerNetwork,
    ContainerSpec,
    ContainerVolume,
    CreatedContainer,
    DeletedImage,
    DeleteOptions,
    EngineInfo,
    Footprint,
    Found,
    Image,
    ImageFilter,
    PullProgress,
    RegistryCredentials,
    Resource,
    ResourceKind,
    ResourceStats,
    ResourceUpdate,
    ResourceView,
    RestartOptions,
    StartOptions,
    StopOptions,
    Updated,
    UpdatePlan,
)
from proad.ports import (
    AnnounceFootprint,
    Begin,
    JudgeImage,
    OnEvent,
    OnStep,
    RunningCommand,
    any_image,
    at_once,
    ignore,
    unannounced,
)
from proad.ports.records import EngineIdentity

DEFAULT_URL = "unix:///var/run/docker.sock"


def environment_address() -> tuple[str, Path | None]:
    """Return the engine's address and the folder of certificates from Docker's own variables."""
    url = os.environ.get("DOCKER_HOST") or DEFAULT_URL
    folder = os.environ.get("DOCKER_CERT_PATH")
    return url, Path(folder) if folder and url.startswith("tcp:") else None


class DockerDriver(DelegatedFiles):
    """Controls the containers and images of one Docker Engine.

        async with DockerDriver() as docker:
            made = await docker.create_container(ContainerSpec(image="busybox"), start=True)

    The ports Driver, Containers, ContainerAttachments, Images, Recovery, Recreation, Stats, Updates,
    Commands, PortForwarding and SocketForwarding say what each method does.

    Args:
        url: unix://, tcp:// or ssh:// address; empty: DOCKER_HOST, or the local socket.
        cert_path: for tcp://, the folder with ca.pem, cert.pem and key.pem; None:
            DOCKER_CERT_PATH if the address comes from DOCKER_HOST.
        threads: how many calls of each sort may be under way at once.
        timeout: of one call to the engine.
        timing: the driver's other durations.
        room: for files on their way, and who takes it; None: of its own.
    """

    name = ENGINE
    kinds = (ResourceKind.CONTAINER,)
    stop_modes = STOP_MODES
    # Docker tells of health, restarts, addresses and limits, too; even a start that fails
    # shows in the events of its network.
    full_view_age: timedelta | None = None

    def __init__(
        self,
        url: str = "",
        *,
        cert_path: Path | None = None,
        threads: int = 8,
        timeout: timedelta = DEFAULT_TIMEOUT,
        timing: DockerTiming = DockerTiming(),
        room: Room | None = None,
    ) -> None:
        if not url:
            url, from_environment = environment_address()
            cert_path = cert_path or from_environment
        room = room or Room()
        self._timing = timing
        self._engine = EngineClient(
            url,
            cert_path=cert_path,
            threads=threads,
            timeout=timeout,
            connect_timeout=timing.connect,
            user=room.user,
        )
        self.endpoint = self._engine.api.endpoint
        self.is_on_this_host = url.startswith("unix:")
        self.default_log_driver = ""
        self.state_folders: tuple[str, ...] = ()
        self._attachments = DockerAttachments(self._engine)
        self._reader = ContainerReader(self._engine, timing.inspect_removal)
        under_way = CreatesUnderWay(ENGINE)
        self._recovery = ContainerRecovery(self._engine, self._reader, under_way)
        self._creator = ContainerCreator(
            self._engine, self._reader, self._recovery, under_way, timing.clean_up
        )
        self._stopper = ContainerStopper(self._engine, self._reader, timing.stop)
        self._recreator = ContainerRecreator(
            self._engine,
            self._reader,
            self._creator,
            self._stopper,
            PutBack(self._engine, self._reader),
            under_way,
        )
        self._lifecycle = ContainerLifecycle(self._engine, self._reader, timing.transition)
        self._deleter = ContainerDeleter(
            self._engine, self._reader, self._stopper, timing.transition
        )
        self._updater = ContainerUpdater(self._engine, self._reader)
        self._stats_collector = ContainerStatsCollector(self._engine.streaming, timing.sample)
        self._commands = ContainerCommands(
            self._engine, self._reader, is_on_this_host=self.is_on_this_host, timing=timing.command
        )
        self.files = self._container_files = ContainerFiles(
            self._engine, self._commands.start, threads=threads, room=room
        )
        self._ports = ContainerPorts(
            self._engine, self._reader, is_on_this_host=self.is_on_this_host
        )
        self.connect_port = self._ports.connect
        self._sockets = ContainerSockets(self._reader, is_on_this_host=self.is_on_this_host)
        self.connect_socket = self._sockets.connect
        self.lacks = self._lacking()
        self.read_log = ContainerLogs(self._engine, self._reader).read
        self.attach = ContainerConsoles(self._engine, self._reader, timing.command).attach
        self._images = DockerImages(self._engine)
        self._registries = Registries(self._engine, self._images, timing.pull_silence)
        self._info: EngineInfo | None = None
        self._open = AsyncExitStack()

    def _lacking(self) -> frozenset[Capability]:
        """Return what can never be done with an engine that is reached so, by this process."""
        if not self.is_on_this_host:
            return frozenset({Capability.PORT_FORWARDING, Capability.SOCKET_FORWARDING})
        return frozenset({Capability.SOCKET_FORWARDING} if self._sockets.obstacle else ())

    async def __aenter__(self) -> Self:
        self._open.enter_context(self._engine)
        self._open.enter_context(self._stats_collector)
        self._open.push_async_callback(self._creator.close)
        self._open.push_async_callback(self._commands.close)
        self._container_files.open()
        self._open.push_async_callback(self._container_files.close)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._open.aclose()

    async def probe(self) -> EngineInfo:
        """Ask the engine who it is."""
        limit = min(self._timing.probe, self._engine.timeout)
        known = self._info if self._engine.api.version else None  # it is forgotten with a loss
        api_version, version = await self._engine.negotiate(timeout=limit)
        if known is not None and known.version == version:
            return known  # to count all it has takes the engine its time
        info = (await self._engine.get("/info", timeout=limit)).value()
        # https://docs.docker.com/reference/cli/docker/container/run/#cgroupns
        self._reader.cgroupns = "host" if info["CgroupVersion"].text() == "1" else "private"
        self.default_log_driver = info["LoggingDriver"].text()
        self.state_folders = tuple(filter(None, (info["DockerRootDir"].text(),)))
        self._info = EngineInfo(
            version=version,
            api_version=str(api_version),
            hostname=info["Name"].text(),
            cpus=info["NCPU"].count(INT32),
            memory_bytes=info["MemTotal"].count(),
            architecture=info["Architecture"].text(),
            warnings=info["Warnings"].texts(),
        )
        return self._info

    async def identity(self) -> EngineIdentity:
        """Return the engine's id, and the id of a network that it keeps with its containers.

        The engine's own id may be kept beside the configuration, and then be that of every data
        root that the engine is started with. Each data root has a network "none" of its own.
        """
        info, networks = await asyncio.gather(
            self._engine.get("/info"),
            self._engine.get("/networks", params=filters({"name": ["^none$"]})),
        )
        ids = [
            each["Id"].text() for each in networks.value().each() if each["Name"].text() == "none"
        ]
        return "/".join([info.value()["ID"].text() or self.endpoint, *ids[:1]])

    async def list_resources(self, view: ResourceView = ResourceView.SUMMARY) -> list[Resource]:
        """List all containers."""
        found = await self._reader.summaries()
        if view is ResourceView.SUMMARY:
            return found
        details = await asyncio.gather(*map(self._in_full, found))
        return [resource for resource in details if resource is not None]

    async def _in_full(self, summary: Resource) -> Resource | None:
        """Return the FULL view of one; the SUMMARY where the engine cannot tell more."""
        try:
            return await self._reader.find(summary.id)
        except (EngineConflictError, EngineTimedOutError):
            return summary

    async def get_resource(self, id: str, view: ResourceView = ResourceView.FULL) -> Resource:
        """Return one container."""
        if view is ResourceView.FULL:
            return await self._reader.get(id)
        return await self._reader.summary(id)

    async def find_id(self, name: str) -> str:
        """Return the id of the container of that name."""
        return await self._reader.listed_id_of(name)

    def subscribe(self, on_event: OnEvent) -> AbstractAsyncContextManager[asyncio.Future[Never]]:
        """Call `on_event` for each event of a container."""
        return subscribed(self._engine, self._reader.cache, on_event, self._timing.subscription)

    async def start(self, id: str, options: StartOptions = StartOptions()) -> Resource:
        """Start a container; resume it when it is paused."""
        return await self._lifecycle.start(id, options)

    async def stop(
        self, id: str, options: StopOptions = StopOptions(), *, on_step: OnStep = ignore
    ) -> Resource:
        """Stop a container."""
        return await self._stopper.stop(id, options, on_step)

    async def restart(
        self, id: str, options: RestartOptions = RestartOptions(), *, on_step: OnStep = ignore
    ) -> Resource:
        """Restart a container."""
        return await self._stopper.restart(id, options, on_step)

    async def pause(self, id: str) -> Resource:
        """Freeze a container in memory."""
        return await self._lifecycle.pause(id)

    async def resume(self, id: str) -> Resource:
        """Resume a paused container."""
        return await self._lifecycle.resume(id)

    async def delete(
        self, id: str, options: DeleteOptions = DeleteOptions(), *, begin: Begin = at_once
    ) -> Resource:
        """Delete a container."""
        return await self._deleter.delete(id, options, begin)

    async def plan_update(self, id: str, update: ResourceUpdate) -> UpdatePlan:
        """Return what an update would do."""
        return await self._updater.plan(id, update)

    async def update(self, id: str, update: ResourceUpdate) -> Updated:
        """Change name, limits or restart policy."""
        return await self._updater.update(id, update)

    async def stats(self, ids: Collection[str]) -> Mapping[str, ResourceStats]:
        """Take one sample of each of these containers."""
        return await self._stats_collector.stats(ids)

    def start_command(
        self, id: str, spec: CommandSpec, streams: CommandStreams
    ) -> AbstractAsyncContextManager[RunningCommand]:
        """Start a command inside a container."""
        return self._commands.start(id, spec, streams)

    async def create_container(
        self,
        spec: ContainerSpec,
        *,
        start: bool = False,
        announce: AnnounceFootprint = unannounced,
        judge: JudgeImage = any_image,
    ) -> CreatedContainer:
        """Create a container, and start it if asked to."""
        return await self._creator.create(spec, start=start, announce=announce, judge=judge)

    async def recreate_container(
        self,
        id: str,
        spec: ContainerSpec,
        *,
        announce: AnnounceFootprint = unannounced,
        judge: JudgeImage = any_image,
        on_step: OnStep = ignore,
    ) -> CreatedContainer:
        """Put a container with this specification in place of one."""
        return await self._recreator.recreate(
            id, spec, announce=announce, judge=judge, on_step=on_step
        )

    async def container_volumes(
        self, names: Collection[str] | None = None
    ) -> list[ContainerVolume]:
        """Return the volumes of these names that exist; None: all volumes."""
        return await self._attachments.volumes(names)

    async def container_networks(self, names: Collection[str]) -> Mapping[str, ContainerNetwork]:
        """Return those of these networks that exist."""
        return await self._attachments.networks(names)

    async def layer_size(self, id: str) -> int:
        """Return the bytes that a container has written to its own layer."""
        return await self._reader.layer_size(id)

    async def env_secrets(self, id: str) -> Mapping[str, str]:
        """Return the secrets in a container's environment."""
        return await self._reader.env_secrets(id)

    async def list_images(self, which: ImageFilter = ImageFilter()) -> list[Image]:
        """List images."""
        return await self._images.find(which)

    async def get_image(self, name: str) -> Image:
        """Return one image in full."""
        return await self._images.get(name)

    def pull_image(
        self, name: str, *, platform: str = "", credentials: RegistryCredentials | None = None
    ) -> AsyncGenerator[PullProgress | Image, None]:
        """Pull an image."""
        return self._registries.pull(name, platform, credentials)

    async def delete_image(self, name: str, *, force: bool = False) -> DeletedImage:
        """Delete an image, or take a tag off it."""
        return await self._images.delete(name, force=force)

    async def check_credentials(self, credentials: RegistryCredentials) -> None:
        """Let a registry check credentials."""
        await self._registries.check(credentials)

    async def find_created(self, footprint: Footprint) -> Found | None:
        """Return what an interrupted create has made."""
        return await self._recovery.find(footprint)

    async def undo_created(self, footprint: Footprint, *, force: bool = False) -> tuple[str, ...]:
        """Remove what an interrupted create has left."""
        return await self._recovery.undo(footprint, force=force)
