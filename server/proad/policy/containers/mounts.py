"""Rules on mounts: volumes, and the places that mounts may cover."""

import re
from collections.abc import Iterator
from posixpath import normpath

from proad.errors import Violation
from proad.model import ContainerSpec, ImageDefaults, Mount
from proad.policy.bounds import is_listed
from proad.policy.containers.binds import Neighbours, judge_bind
from proad.policy.containers.surroundings import Surroundings
from proad.policy.profile import Profile

# Docker's own rule for names of volumes: what else may be a path to it.
_VOLUME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
# The kernel's own file systems, parts of which are masked.
_KERNEL = re.compile(r"/+(proc|sys)(/.*)?", re.DOTALL)


def judge_mounts(
    spec: ContainerSpec, profile: Profile, around: Surroundings
) -> Iterator[Violation]:
    """Return the violations of all mounts, and of a working folder among the kernel's own."""
    beside = Neighbours.of(spec.mounts, around)
    for index, mount in enumerate(spec.mounts):
        field = f"mounts[{index}]"
        yield from judge_place(f"{field}.target", mount.target, profile)
        yield from judge_source(field, mount, beside, profile, around)


def judge_working_dir(
    spec: ContainerSpec, profile: Profile, _: Surroundings
) -> Iterator[Violation]:
    """Return the violation of a working folder that leads through a process to the host."""
    if spec.working_dir is not None:
        yield from judge_place("working_dir", spec.working_dir, profile)


def judge_image_defaults(
    spec: ContainerSpec, image: ImageDefaults, profile: Profile
) -> list[Violation]:
    """Return the violations of what an image gives a container that does not ask for it."""
    found: list[Violation] = []
    if not spec.working_dir and image.working_dir:
        found += judge_place("image", image.working_dir, profile)
    for target in image.volumes:
        found += judge_place("image", target, profile)
    return found


def judge_source(
    field: str,
    mount: Mount,
    beside: Neighbours,
    profile: Profile,
    around: Surroundings,
) -> Iterator[Violation]:
    """Return the violations of what a mount shows.

    Args:
        field: the mount.
        mount: the mount.
        beside: what a bind mount is compared with.
        profile: the caller's profile.
        around: what the mount refers to.
    """
    if mount.bind is not None:
        yield from judge_bind(f"{field}.bind.source", mount, beside, profile, around)
    elif mount.volume is not None and mount.volume.name:
        yield from _judge_volume(f"{field}.volume.name", mount.volume.name, profile, around)


def judge_place(field: str, path: str, profile: Profile) -> Iterator[Violation]:
    """Return the violation of a place among the kernel's own file systems."""
    if _KERNEL.fullmatch(normpath(path)) and not profile.allow_unmasked_paths:
        yield Violation(
            field=field,
            rule="unmasked path",
            setting="allow_unmasked_paths",
            message=f"{path!r} is the kernel's own, of which parts are masked in containers",
        )


def _judge_volume(
    field: str, name: str, profile: Profile, around: Surroundings
) -> Iterator[Violation]:
    if not _VOLUME.fullmatch(name):
        yield Violation(
            field=field,
            rule="name of a volume",
            message=f"{name!r} is no name of a volume: letters, digits and '_.-' make one",
        )
    volume = around.volumes.get(name)
    if name in around.claimed or (volume is not None and not volume.is_own):
        yield Violation(
            field=field,
            rule="volume of another",
            message=f"the volume {name!r} is not the caller's: choose another name",
        )
    if volume is None:
        return
    if not is_listed(volume.driver, profile.allowed_volume_drivers):
        yield Violation(
            field=field,
            rule="volume driver not listed",
            setting="allowed_volume_drivers",
            message=f"the volume {name!r} is of the driver {volume.driver!r}",
        )
    if volume.has_options and not profile.allow_volume_options:
        yield Violation(
            field=field,
            rule="volume with options",
            setting="allow_volume_options",
            message=f"the volume {name!r} was made with options of its driver, which may show "
            "any path of the host",
        )
