"""Client of proad, the daemon for Docker containers and libvirt/QEMU virtual machines.

    import proa
    from proa import v1

    with proa.connect("127.0.0.1:50051", username="ann", password=secret) as client:
        spec = v1.ContainerSpec(image="debian:12", name="web", command=["sleep", "600"])
        client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec, start=True))
        for resource in client.list_resources():
            print(resource.name, v1.ResourceState.Name(resource.state))

`proa.aio` is the same for asyncio; `proa.v1` contains the messages and stubs.
"""

from importlib.metadata import version

from proa import aio, v1
from proa.channels import TLS
from proa.client import Client, connect
from proa.commands import CommandFailed, CompletedCommand, Exit, Output
from proa.errors import (
    Aborted,
    AlreadyExists,
    Cancelled,
    DeadlineExceeded,
    Error,
    FailedPrecondition,
    IllegalState,
    Internal,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    StopTimedOut,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Violation,
    WaitTimedOut,
)
from proa.events import Change, Disconnected, Event, Gap, Reconnected, Synced
from proa.file_trees import TreeEntry
from proa.logs import LogLine, Logs

__all__ = [
    "TLS",
    "Aborted",
    "AlreadyExists",
    "Cancelled",
    "Change",
    "Client",
    "CommandFailed",
    "CompletedCommand",
    "DeadlineExceeded",
    "Disconnected",
    "Error",
    "Event",
    "Exit",
    "FailedPrecondition",
    "Gap",
    "IllegalState",
    "Internal",
    "InvalidArgument",
    "LogLine",
    "Logs",
    "NotFound",
    "OutOfRange",
    "Output",
    "PermissionDenied",
    "Reconnected",
    "ResourceExhausted",
    "StopTimedOut",
    "Synced",
    "TreeEntry",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Violation",
    "WaitTimedOut",
    "__version__",
    "aio",
    "connect",
    "v1",
]

__version__ = version("proa")
"""The version of this distribution; `GetHost` tells the daemon's."""
