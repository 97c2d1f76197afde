"""Rules on bind mounts: which paths of the host a container may have.

A path that was checked is a string to the engine, which resolves it again at each start. So it
must be one that nobody can make lead elsewhere meanwhile.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from proad.errors import Violation
from proad.model import Mount
from proad.policy.containers.surroundings import (
    HostPath,
    Identity,
    Surroundings,
    Walk,
    spelled_out,
)
from proad.policy.profile import Profile

SETTING = "bind_roots"


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """What each bind mount of a container is compared with, made once: there may be hundreds.

    Attributes:
        protected: the names of the paths that are protected, spelled out.
        targets: what those lead to.
        folders: the folders on the way there.
        writable: the folders that this or another instance may change.
        around: the folders on the way to what other instances mount.
    """

    protected: tuple[str, ...]
    targets: frozenset[Identity]
    folders: frozenset[Identity]
    writable: frozenset[Identity]
    around: frozenset[Identity]

    @classmethod
    def of(cls, mounts: Iterable[Mount], around: Surroundings) -> "Neighbours":
        """Return what the mounts of one container are compared with."""
        own = (
            around.paths.get(each.bind.source)
            for each in mounts
            if each.bind is not None and not each.read_only
        )
        writable = (*own, *(each.source for each in around.binds if not each.read_only))
        return cls(
            protected=tuple(spelled_out(each.path) for each in around.protected),
            targets=frozenset(each.target for each in around.protected if each.target),
            folders=frozenset().union(*(each.folders for each in around.protected)),
            writable=frozenset(each.target for each in writable if each and each.target),
            around=frozenset().union(*(each.source.folders for each in around.binds)),
        )

    def protect(self, path: HostPath) -> bool:
        """Return whether a path is of the engines or the daemon, is inside such, or contains such.

        Links and other names of the same file do not matter.
        """
        if path.target in self.targets or path.target in self.folders:
            return True
        if not self.targets.isdisjoint(path.folders):
            return True
        name = spelled_out(path.path)
        return name.startswith(self.protected) or any(
            own.startswith(name) for own in self.protected
        )


def judge_bind(
    field: str,
    mount: Mount,
    beside: Neighbours,
    profile: Profile,
    around: Surroundings,
) -> Iterator[Violation]:
    """Return the violation of a bind mount: the first one, for the next may follow from it.

    Args:
        field: its source.
        mount: the mount.
        beside: what it is compared with.
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


def _where(
    source: str, _: Mount, beside: Neighbours, profile: Profile, around: Surroundings
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
    if beside.protect(path):
        yield (
            "protected path",
            "",
            f"{source!r} would give the container sockets, state or settings of an engine or of Proa",
        )
    if _root_of(source, profile) is None:
        roots = ", ".join(profile.bind_roots) or "none"
        yield (
            "bind outside bind_roots",
            SETTING,
            f"{source!r} is in no folder that may be mounted; these are: {roots}",
        )


def _how(source: str, _: Mount, __: Neighbours, profile: Profile, around: Surroundings) -> _Found:
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
    source: str, mount: Mount, beside: Neighbours, _: Profile, around: Surroundings
) -> _Found:
    """Return which other mount could make a source lead elsewhere, or could be made to.

    Of whom that is, is not told: it may be an instance that the caller may not see.
    """
    path = around.paths.get(source, HostPath(path=source))
    if not beside.writable.isdisjoint(path.folders):
        yield (
            "inside a writable mount",
            "",
            f"{source!r} is inside a folder that this or another instance may change",
        )
    if not mount.read_only and path.target in beside.around:
        yield (
            "writable mount around another",
            "",
            f"{source!r} contains what another instance mounts: mount it read-only",
        )


def _root_of(source: str, profile: Profile) -> str | None:
    """Return the deepest root that a source is in, by its spelling; None: it is in none."""
    name = spelled_out(source)
    if source != (name[:-1] or "/") or "/../" in name or name.startswith("//"):
        return None
    roots = [each for each in profile.bind_roots if name.startswith(spelled_out(each))]
    return max(roots, key=len, default=None)
