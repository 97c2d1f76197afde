"""Specifications and containers for the rules, made as the daemon makes them."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import ParseDict

from hostile_containers import Foreign, Hostile
from proa import v1
from proad.config import Settings
from proad.config.protected_paths import protected_paths
from proad.core.host_paths import walked
from proad.errors import Violation
from proad.model import Container, ContainerSpec
from proad.policy import Profile
from proad.policy.containers import Surroundings, judge, judge_live, with_defaults
from proad.rpc.decode import decode
from unit.docker.engine_answers import full, inspected

PROTECTED = tuple(walked(path) for path in protected_paths(Settings()))
FINE = {"NetworkMode": "none", "PidsLimit": 100, "SecurityOpt": ["no-new-privileges"]}
"""The HostConfig of a container that the default profile would have made."""


def spec_of(fields: Mapping[str, Any]) -> ContainerSpec:
    """Return a specification as a servicer decodes it."""
    message = ParseDict({"image": "busybox:1", **fields}, v1.ContainerSpec())
    return decode(ContainerSpec, message, prefix="spec")


def around(profile: Profile, *mounts: Any) -> Surroundings:
    """Return surroundings that have the paths of mounts in roots as they are on this host."""
    sources = {mount.bind.source for mount in mounts if mount.bind}
    return Surroundings(
        paths={source: walked(source) for source in sources if profile.bind_roots},
        protected=PROTECTED,
        log_driver="json-file",
    )


def judged(hostile: Hostile, profile: Profile) -> list[Violation]:
    """Return the violations of a hostile request."""
    spec = with_defaults(_decoded(repr(hostile.spec), hostile), profile)
    return judge(spec, profile, around(profile, *spec.mounts))


class _Decoded:
    """The specifications of hostile requests, each decoded once."""

    def __init__(self) -> None:
        self._known: dict[str, ContainerSpec] = {}

    def __call__(self, key: str, hostile: Hostile) -> ContainerSpec:
        if key not in self._known:
            self._known[key] = spec_of(hostile.spec)
        return self._known[key]


_decoded = _Decoded()


def container_of(foreign: Foreign) -> Container:
    """Return the FULL view of a container of others."""
    config = {"Image": "busybox:1", **foreign.config}
    container = full(inspected(HostConfig={**FINE, **foreign.host}, Config=config)).container
    assert container is not None
    return container


def judged_live(foreign: Foreign, profile: Profile) -> list[Violation]:
    """Return the violations of a container of others."""
    container = container_of(foreign)
    assert container.spec is not None
    return judge_live(container, profile, around(profile, *container.spec.mounts))
