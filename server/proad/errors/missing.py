"""Errors for things that do not exist."""

from typing import ClassVar

from proad.errors.root import ProaError, Reason


class NotFoundError(ProaError):
    """Something that the request names does not exist.

    Attributes:
        resource_type: "resource", "image", "snapshot", "volume", "host" or "file".
        name: the name in the request.
        hint: what shows those that exist, for callers.
        hint_on_host: the same for commands on the host, whose users call no RPCs; empty: `hint`.
        on_host: the message with `hint_on_host`.
    """

    resource_type: ClassVar[str]
    hint: ClassVar[str]
    hint_on_host: ClassVar[str] = ""

    def __init__(self, name: str, *, detail: str = "", hint: str = "") -> None:
        what = f"no {self.resource_type} {name!r}{f' {detail}' if detail else ''}"
        text = f"{what}; {hint or self.hint}"
        super().__init__(text, metadata={self.resource_type: name})
        self.name = name
        self.on_host = f"{what}; {hint or self.hint_on_host or self.hint}"


class ResourceNotFoundError(NotFoundError):
    """No container and no domain has this id or name."""

    reason = Reason.RESOURCE_NOT_FOUND
    resource_type = "resource"
    hint = "ListResources shows what there is"
    hint_on_host = "'proa ls --all' shows what there is"


class ImageNotFoundError(NotFoundError):
    """The image is not on the host, or not in its registry."""

    reason = Reason.IMAGE_NOT_FOUND
    resource_type = "image"
    hint = "ListImages shows what is on the host, PullImage fetches it"
    hint_on_host = "'proa images' shows what there is"


class SnapshotNotFoundError(NotFoundError):
    """The domain has no such snapshot."""

    reason = Reason.SNAPSHOT_NOT_FOUND
    resource_type = "snapshot"
    hint = "ListSnapshots shows what there is"
    hint_on_host = "'proa snapshot ls' shows what there is"


class VolumeNotFoundError(NotFoundError):
    """The pool has no such volume, or the host no such pool."""

    reason = Reason.VOLUME_NOT_FOUND
    resource_type = "volume"
    hint = "ListVolumes shows what there is"
    hint_on_host = "'proa volumes ls' shows what there is"


class PoolNotFoundError(VolumeNotFoundError):
    """The host has no such storage pool."""

    resource_type = "pool"
    hint = hint_on_host = "`virsh pool-list --all` shows those that the host has"


class HostNotFoundError(NotFoundError):
    """The configuration names no such host connection."""

    reason = Reason.HOST_NOT_FOUND
    resource_type = "host"
    hint = "ListHosts shows what there is"
    hint_on_host = "'proa host' shows what there is"


class FileNotFoundInsideError(NotFoundError):
    """The resource has no such file, or not the directory that it is to be in."""

    reason = Reason.FILE_NOT_FOUND
    resource_type = "file"
    hint = "ListFiles shows what there is"
