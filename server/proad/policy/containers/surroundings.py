"""What is on the host beside a container, as far as the rules on containers need it."""

import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from proad.model import ContainerNetwork

Identity = tuple[int, int]
"""Device and inode: what a file is, whatever it is called."""


def spelled_out(path: str) -> str:
    """Return a path with one slash after each component, so that a folder begins what is in it.

    Many paths are compared with many: `PurePosixPath` would take the event loop for seconds.
    """
    name = f"/{path}/"
    for idle, short in (("//", "/"), ("/./", "/")):
        while idle in name:
            name = name.replace(idle, short)
    # POSIX leaves two slashes at the beginning to the system, and they are no way to a root.
    return f"/{name}" if path.startswith("//") and not path.startswith("///") else name


@dataclass(frozen=True, slots=True)
class Step:
    """A component of a path as it is, with no link followed.

    Attributes:
        identity: device and inode.
        mode: type and permissions.
        uid: the owner.
    """

    identity: Identity
    mode: int
    uid: int

    @property
    def is_roots_alone(self) -> bool:
        """Whether it belongs to root, and nobody else may write to it."""
        return self.uid == 0 and not self.mode & 0o022

    @property
    def is_mountable(self) -> bool:
        """Whether it is a folder or a plain file."""
        return stat.S_ISDIR(self.mode) or stat.S_ISREG(self.mode)


class Walk(StrEnum):
    """How a walk along a path has ended.

    Attributes:
        WHOLE: at its end.
        LINK: at a symbolic link.
        MISSING: at a component that does not exist.
        UNREADABLE: at a component that the daemon cannot look at.
    """

    WHOLE = "whole"
    LINK = "link"
    MISSING = "missing"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPath:
    """A path of the host, opened component by component without following links.

    Attributes:
        path: the path.
        steps: its components from "/" on, as far as the walk came; the last one is a link if
            the walk ended at one.
        walk: how the walk has ended.
        target: what it leads to when links are followed; None: nothing is there.
        folders: those on the way to the target from "/" on, as far as they exist.
    """

    path: str
    steps: tuple[Step, ...] = ()
    walk: Walk = Walk.UNREADABLE
    target: Identity | None = None
    folders: tuple[Identity, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BindOfAnother:
    """A bind mount of an instance that exists.

    Attributes:
        source: the path that it mounts.
        read_only: whether it may only read it.
    """

    source: HostPath
    read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedContainer:
    """A container whose network another one is to use.

    Attributes:
        id: its full id.
        is_own: whether it belongs to the caller.
        networks: the networks that it is on.
    """

    id: str
    is_own: bool
    networks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedVolume:
    """A volume that exists.

    Attributes:
        driver: name of its driver.
        has_options: whether it was made with options of the driver.
        is_own: whether the caller may use it.
    """

    driver: str
    has_options: bool
    is_own: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a container refers to, and what its rules compare it with.

    Attributes:
        is_remote: whether the engine is on another host.
        log_driver: the engine's default log driver; empty: not known.
        paths: the paths that the container names, by what it says of them.
        protected: what no container may have: the sockets and state of the engines and ours.
        binds: the bind mounts of all other instances.
        networks: the networks that the container names, by what it says of them.
        joined: the containers that it names, by what it says of them.
        volumes: the existing volumes that it names.
        claimed: the volumes that it names and that somebody else's container is about to mount.
    """

    is_remote: bool = False
    log_driver: str = ""
    paths: Mapping[str, HostPath] = field(default_factory=dict)
    protected: tuple[HostPath, ...] = ()
    binds: tuple[BindOfAnother, ...] = ()
    networks: Mapping[str, ContainerNetwork] = field(default_factory=dict)
    joined: Mapping[str, JoinedContainer] = field(default_factory=dict)
    volumes: Mapping[str, NamedVolume] = field(default_factory=dict)
    claimed: frozenset[str] = frozenset()
