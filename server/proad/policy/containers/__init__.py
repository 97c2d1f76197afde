"""What a profile allows of containers: what is asked for, and what exists.

Each rule is a function of a specification, a profile and the surroundings that yields violations,
in a module of this package by what the rule is about; `judge` asks them all. Fields are paths in
ContainerSpec, such as "mounts[0].bind.source": the caller of `judge` puts the name of the
request's field before them.
"""

from proad.policy.containers.defaults import with_defaults, with_joined
from proad.policy.containers.judgement import judge
from proad.policy.containers.live import judge_live
from proad.policy.containers.mounts import judge_image_defaults
from proad.policy.containers.surroundings import (
    BindOfAnother,
    HostPath,
    JoinedContainer,
    NamedVolume,
    Step,
    Surroundings,
    Walk,
    spelled_out,
)

__all__ = [
    "BindOfAnother",
    "HostPath",
    "JoinedContainer",
    "NamedVolume",
    "Step",
    "Surroundings",
    "Walk",
    "judge",
    "judge_image_defaults",
    "judge_live",
    "spelled_out",
    "with_defaults",
    "with_joined",
]
