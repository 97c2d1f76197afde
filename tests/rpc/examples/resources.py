"""Examples of reasons about resources, their engines, and what a request asks for."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from proad.drivers.memory import MemoryDriver
from proad.model import ResourceView
from proad.rpc.timing import RpcTiming
from proad.timing import DaemonTiming
from rpc.daemon import IMAGE, changing, refusal
from rpc.engines import container_engine
from rpc.examples.registry import example
from rpc.exec_session import Attachment
from rpc.port_session import PortSession

DEAF = {"proa.memory/ignores-stop": "true"}


@example('StopResource of "web" after somebody deleted it.')
async def resource_not_found(serve, _):
    daemon = await serve()
    await daemon.container("web")
    await daemon.call("DeleteResource", id="web", force=True)
    return await refusal(daemon.call("StopResource", id="web"))


@example('CreateContainer with image "no-such:latest".')
async def image_not_found(serve, _):
    daemon = await serve()
    return await refusal(daemon.call("CreateContainer", spec={"image": "no-such:latest"}))


@example('RevertSnapshot to "before-upgrade" after it was deleted.')
async def snapshot_not_found(serve, _):
    daemon = await serve()
    await daemon.domain("vm")
    request = {"id": "vm", "name": "before-upgrade"}
    for call in ("CreateSnapshot", "DeleteSnapshot"):
        await daemon.call(call, **request)
    return await refusal(daemon.call("RevertSnapshot", **request))


@example('DeleteVolume of "web.qcow2" in pool "defualt".')
async def volume_not_found(serve, _):
    daemon = await serve()
    await daemon.call("CreateVolume", spec={"name": "web.qcow2", "capacity_bytes": 2**20})
    return await refusal(daemon.call("DeleteVolume", name="web.qcow2", pool="defualt"))


@example('ReadFile of "/etc/motd" in a container that has none.')
async def file_not_found(serve, _):
    daemon = await serve()
    await daemon.container("web")
    return await refusal(daemon.call("ReadFile", id="web", path="/etc/motd").read())


@example('CreateDomain with host "nodeb".')
async def host_not_found(serve, _):
    daemon = await serve()
    spec = {"name": "vm", "memory_bytes": 2**26}
    return await refusal(daemon.call("CreateDomain", spec=spec, host="nodeb"))


@example("CreateDomain with memory_bytes 0.")
async def invalid_argument(serve, _):
    daemon = await serve()
    spec = {"name": "vm", "memory_bytes": 0}
    return await refusal(daemon.call("CreateDomain", spec=spec))


@example('GetResource "web" with a container and a domain "web".')
async def ambiguous_id(serve, _):
    daemon = await serve()
    await daemon.container("web")
    await daemon.domain("web")
    return await refusal(daemon.call("GetResource", id="web"))


@example('CreateContainer "web" while a container "web" exists.')
async def already_exists(serve, _):
    daemon = await serve()
    await daemon.container("web")
    return await refusal(daemon.call("CreateContainer", spec={"image": IMAGE, "name": "web"}))


@example("StartResource of a container whose network somebody removed.")
async def engine_conflict(serve, _):
    daemon = await serve()
    await daemon.container("web", networks=[{"network": "missing"}], start=False)
    return await refusal(daemon.call("StartResource", id="web"))


@example("ListResources while dockerd is stopped.")
async def engine_unreachable(serve, _):
    dockerd = container_engine()
    daemon = await serve(("local", dockerd))
    dockerd.mode = "lost"
    return await refusal(daemon.call("ListResources"))


@example("StartResource on a hung dockerd.")
async def engine_timed_out(serve, _):
    class Hung(MemoryDriver):
        async def start(self, *_args, **_options):
            await asyncio.Event().wait()

    daemon = await serve(("local", Hung()))
    await daemon.container("web", start=False)
    return await refusal(daemon.call("StartResource", id="web", timeout=2))


@example("StopResource GRACEFUL of a guest that ignores the power button.")
async def stop_timed_out(serve, _):
    daemon = await serve()
    await daemon.domain("vm", labels=DEAF)
    request = {"mode": "STOP_MODE_GRACEFUL", "grace_period": timedelta(milliseconds=50)}
    return await refusal(daemon.call("StopResource", id="vm", **request))


@example("StopResource SAVE of a container.")
async def capability_missing(serve, _):
    daemon = await serve()
    await daemon.container("web")
    return await refusal(daemon.call("StopResource", id="web", mode="STOP_MODE_SAVE"))


@example("PauseResource of a stopped container.")
async def resource_not_running(serve, _):
    daemon = await serve()
    await daemon.container("web", start=False)
    return await refusal(daemon.call("PauseResource", id="web"))


@example("StartResource of a running domain.")
async def resource_already_running(serve, _):
    daemon = await serve()
    await daemon.domain("vm")
    return await refusal(daemon.call("StartResource", id="vm"))


@example("DeleteResource of a running container.")
async def resource_running(serve, _):
    daemon = await serve()
    await daemon.container("web")
    return await refusal(daemon.call("DeleteResource", id="web"))


@example("ResumeResource of a running domain.")
async def illegal_state(serve, _):
    daemon = await serve()
    await daemon.domain("vm")
    return await refusal(daemon.call("ResumeResource", id="vm"))


@example("DeleteResource of such a domain without delete_snapshots.")
async def has_snapshots(serve, _):
    daemon = await serve()
    await daemon.domain("vm", start=False)
    await daemon.call("CreateSnapshot", id="vm", name="s1")
    return await refusal(daemon.call("DeleteResource", id="vm"))


@example("DeleteResource of such a domain without delete_saved_state.")
async def has_saved_state(serve, _):
    daemon = await serve()
    await daemon.domain("vm")
    await daemon.call("StopResource", id="vm", mode="STOP_MODE_SAVE")
    return await refusal(daemon.call("DeleteResource", id="vm"))


@example("DeleteVolume of the disk of a domain.")
async def in_use(serve, _):
    daemon = await serve()
    await daemon.call("CreateVolume", spec={"name": "v", "capacity_bytes": 2**20})
    disk = {"volume": {"name": "v", "format": "DISK_FORMAT_QCOW2"}}
    await daemon.domain("vm", disks=[disk], start=False)
    return await refusal(daemon.call("DeleteVolume", name="v"))


@example("StartResource during a graceful stop.")
async def activity_in_progress(serve, _):
    daemon = await serve()
    await daemon.domain("vm", labels=DEAF)
    grace = timedelta(hours=1)
    stop = asyncio.ensure_future(daemon.call("StopResource", id="vm", grace_period=grace))
    await daemon.under_way("vm")
    refused = await refusal(daemon.call("StartResource", id="vm"))
    await daemon.call("StopResource", id="vm", mode="STOP_MODE_FORCE")
    await stop
    return refused


@example("UpdateResource with the etag of an older read.")
async def etag_mismatch(serve, _):
    daemon = await serve()
    read = await daemon.container("web")
    for _change in range(2):
        change = changing("container", resources={"pids_limit": 9})
        call = daemon.call("UpdateResource", id="web", etag=read.etag, **change)
        if _change == 0:
            await call
    return await refusal(call)


class Privileged(MemoryDriver):
    """Has containers with settings that no specification tells."""

    async def get_resource(self, id, view=ResourceView.FULL):
        resource = await super().get_resource(id, view)
        assert resource.container is not None
        container = replace(resource.container, spec_omits=("HostConfig.Privileged",))
        return replace(resource, container=container)


@example("RecreateContainer of one that was made with `docker run --privileged`.")
async def spec_incomplete(serve, _):
    daemon = await serve(("local", Privileged()))
    await daemon.container("web")
    return await refusal(daemon.call("RecreateContainer", id="web"))


@example("CreateVolume of 1 TiB, preallocated, on a smaller disk.")
async def host_exhausted(serve, _):
    daemon = await serve()
    # The disk that is imitated has 1 TiB.
    rest = {"name": "rest", "capacity_bytes": 2**20, "preallocate": True}
    await daemon.call("CreateVolume", spec=rest)
    spec = {"name": "big", "capacity_bytes": 2**40, "preallocate": True}
    return await refusal(daemon.call("CreateVolume", spec=spec))


@example("DeleteResource of such a domain.")
async def deletion_protected(serve, _):
    daemon = await serve()
    await daemon.domain("vm", start=False, deletion_protection=True)
    return await refusal(daemon.call("DeleteResource", id="vm"))


@example("an Attach, after another one with `force` to the same domain.")
async def console_taken(serve, _):
    daemon = await serve()
    await daemon.domain("vm")
    first = await Attachment.begun(daemon, id="vm")
    await Attachment.begun(daemon, id="vm", force=True)
    return await first.refused()


@example("an Attach to a container that writes, whose caller does not read.")
async def reader_too_slow(serve, _):
    daemon = await serve(timing=DaemonTiming(rpc=RpcTiming(output_unread=0.2)))
    await daemon.container("web", stdin_open=True)
    session = await Attachment.begun(daemon, id="web")
    other = await Attachment.begun(daemon, id="web")
    other.say(stdin=b"head -c 5000000 /dev/zero; echo done\n")
    await other.until(b"done\n")  # which it is not before the first one was given up
    return await session.refused()


@example("ForwardPort to port 80 of a container whose server has not begun to listen.")
async def connection_failed(serve, _):
    daemon = await serve()
    await daemon.container("web")
    # The memory driver's own servers listen on a few ports, 80 among them, and on no other.
    return await PortSession(daemon, id="web", port=8080).refused()
