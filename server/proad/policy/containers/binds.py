"""Rules on bind mounts: which paths of the host a container may have.

A path that was checked is a string to the engine, which resolves it again at each start. So it
must be one that nobody can make lead elsewhere meanwhile.
"""

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from proad.errors import Violation
from proad.model import Mount
from proad.policy.containers.surroundings import HostPath, Surroundings, Walk
from proad.policy.profile import Profile

SETTING = "bind_roots"


def judge_bind(
    field: str,
    mount: Mount,
    beside: Iterable[Mount],
    profile: Profile,
    around: Surroundings,
) -> Iterator[Violation]:
    """Return the violation of a bind mount: the first one, for the next may follow from it.

    Args:
        field: its source.
        mount: the mount.
        beside: all mounts of the same container.
        profile: the caller's profile.
        around: what the path is, and what else is mounted.
    """
    source = mount.bind.source if mount.bind is not None else ""
    found = (
        (rule, setting, message)
        for rules in (_where, _how, _beside)
        for rule, setting, message in rules(source, mount, beside, profile, around)
    )
    for rule, setting, message in found:
        yield Violation(field=field, rule=rule, setting=setting, message=message)
        return


_Found = Iterator[tuple[str, str, str]]


def is_protected(path: HostPath, around: Surroundings) -> bool:
    """Return whether a path is of the engines or the daemon, is inside such, or contains such.

    Links and other names of the same file do not matter.
    """
    return any(
        path.is_same(own) or path.contains(own) or own.contains(path) or _is_below(own, path)
        for own in around.protected
    )


def _is_below(own: HostPath, path: HostPath) -> bool:
    """Return whether one path is the other, or above or below, by their names alone."""
    one, other = PurePosixPath(own.path), PurePosixPath(path.path)
    return one.is_relative_to(other) or other.is_relative_to(one)


def _where(
    source: str, _: Mount, __: Iterable[Mount], profile: Profile, around: Surroundings
) -> _Found:
    """Return what is wrong with the place of a source."""
    if around.is_remote:
        yield (
            "bind on a remote engine",
            "",
            "the engine is on another host, whose paths nobody can check",
        )
        return
    path = around.paths.get(source, HostPath(path=source))
    if is_protected(path, around):
        yield (
            "protected path",
            "",
            f"{source!r} would give the container the sockets or state of an engine or of Proa",
        )
    if _root_of(source, profile) is None:
        yield (
            "bind outside bind_roots",
            SETTING,
            f"{source!r} is not in {', '.join(profile.bind_roots) or 'any folder: none is listed'}",
        )


def _how(
    source: str, _: Mount, __: Iterable[Mount], profile: Profile, around: Surroundings
) -> _Found:
    """Return what makes a source one that can lead elsewhere later."""
    path, root = around.paths.get(source), _root_of(source, profile)
    if path is None or path.walk is Walk.UNREADABLE:
        yield "unreadable path", "", f"the daemon cannot look at {source!r}"
        return
    if path.walk is Walk.MISSING:
        yield "missing path", "", f"{source!r} is not there, as far as the daemon sees"
        return
    if path.walk is Walk.LINK:
        yield "link in a path", "", f"{source!r} has a symbolic link in it: name what it leads to"
        return
    depth = len(PurePosixPath(root or source).parts)
    if not path.steps[-1].is_mountable:
        yield "neither file nor folder", "", f"{source!r} is neither a folder nor a plain file"
    if not all(folder.is_roots_alone for folder in path.steps[depth - 1 : -1]):
        yield (
            "folder of others",
            SETTING,
            f"others than root may change a folder on the way to {source!r}: list the path itself",
        )


def _beside(
    source: str, mount: Mount, beside: Iterable[Mount], _: Profile, around: Surroundings
) -> _Found:
    """Return which other mount could make a source lead elsewhere, or could be made to.

    Of whom that is, is not told: it may be an instance that the caller may not see.
    """
    path = around.paths.get(source, HostPath(path=source))
    own = [
        around.paths.get(each.bind.source, HostPath(path=each.bind.source))
        for each in beside
        if each.bind is not None and not each.read_only
    ]
    writable = [*own, *(other.source for other in around.binds if not other.read_only)]
    if any(each.contains(path) for each in writable):
        yield (
            "inside a writable mount",
            "",
            f"{source!r} is inside a folder that this or another instance may change",
        )
    if not mount.read_only and any(path.contains(other.source) for other in around.binds):
        yield (
            "writable mount around another",
            "",
            f"{source!r} contains what another instance mounts: mount it read-only",
        )


def _root_of(source: str, profile: Profile) -> str | None:
    """Return the deepest root that a source is in, by its spelling; None: it is in none."""
    if source != str(PurePosixPath(source)) or ".." in source.split("/"):
        return None
    roots = [each for each in profile.bind_roots if PurePosixPath(source).is_relative_to(each)]
    return max(roots, key=len, default=None)
