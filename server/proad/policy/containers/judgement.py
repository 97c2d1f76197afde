"""The rules on a specification, by the field that each is about."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from types import MappingProxyType

from proad.errors import Violation
from proad.model import ContainerSpec
from proad.policy.containers.images import judge_image
from proad.policy.containers.limits import (
    judge_resources,
    judge_shm,
    judge_tmpfs,
    judge_ulimits,
)
from proad.policy.containers.logs import judge_log
from proad.policy.containers.mounts import judge_mounts, judge_working_dir
from proad.policy.containers.networks import judge_names, judge_networks
from proad.policy.containers.ports import judge_ports
from proad.policy.containers.privileges import (
    judge_capabilities,
    judge_devices,
    judge_groups,
    judge_new_privileges,
    judge_sysctls,
)
from proad.policy.containers.surroundings import Surroundings
from proad.policy.profile import Profile

Judge = Callable[[ContainerSpec, Profile, Surroundings], Iterator[Violation]]

FREE = frozenset(
    {
        *("name", "command", "entrypoint", "env", "env_secret", "env_unset"),
        *("user", "hostname", "domainname"),
        "labels",  # the model refuses those with our prefix
        *("restart_policy", "health_check", "init", "tty", "stdin_open", "read_only_root"),
        *("cap_drop", "stop_signal", "stop_timeout", "lifetime", "deletion_protection", "display"),
    }
)
"""The fields that may have any value."""

JUDGED: Mapping[str, tuple[Judge, ...]] = MappingProxyType(
    {
        "image": (judge_image,),
        "working_dir": (judge_working_dir,),
        "ports": (judge_ports,),
        "mounts": (judge_mounts, judge_tmpfs),
        "networks": (judge_networks,),
        "dns_servers": (judge_names,),
        "dns_search": (judge_names,),
        "extra_hosts": (judge_names,),
        "resources": (judge_resources,),
        "shm_size_bytes": (judge_shm,),
        "ulimits": (judge_ulimits,),
        "cap_add": (judge_capabilities,),
        "devices": (judge_devices,),
        "group_add": (judge_groups,),
        "sysctls": (judge_sysctls,),
        "log_driver": (judge_log,),
        "log_options": (judge_log,),
        "allow_new_privileges": (judge_new_privileges,),
    }
)
"""The fields with rules, each with those that look at it."""


def judge(
    spec: ContainerSpec, profile: Profile, around: Surroundings = Surroundings()
) -> list[Violation]:
    """Return what a profile does not allow of a specification, with its defaults.

    Args:
        spec: the specification.
        profile: the caller's profile.
        around: what the specification refers to; what is not in it is not allowed.

    Returns:
        The violations; their fields are paths in the specification.
    """
    rules = dict.fromkeys(rule for judges in JUDGED.values() for rule in judges)
    found = [violation for rule in rules for violation in rule(spec, profile, around)]
    return found + [
        Violation(
            field=each.name,
            rule="field without a rule",
            message="this daemon's policy does not know the field",
        )
        for each in fields(ContainerSpec)
        if each.name not in FREE and each.name not in JUDGED and getattr(spec, each.name)
    ]
