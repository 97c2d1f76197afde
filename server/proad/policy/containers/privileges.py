"""Rules on capabilities, privileges, devices, groups and kernel parameters."""

from collections.abc import Iterator

from proad.errors import Violation
from proad.model import ContainerSpec
from proad.policy.bounds import is_listed
from proad.policy.containers.surroundings import Surroundings
from proad.policy.profile import Profile


def judge_capabilities(
    spec: ContainerSpec, profile: Profile, _: Surroundings
) -> Iterator[Violation]:
    """Return a violation for each capability that may not be added, however it is spelled."""
    allowed = {_plain(each) for each in profile.allowed_capabilities}
    for index, name in enumerate(spec.cap_add):
        if not is_listed(_plain(name), allowed):
            yield Violation(
                field=f"cap_add[{index}]",
                rule="capability not listed",
                setting="allowed_capabilities",
                message=f"the capability {name!r} is not one of those that may be added",
            )


def judge_new_privileges(
    spec: ContainerSpec, profile: Profile, _: Surroundings
) -> Iterator[Violation]:
    """Return the violation of setuid programs that work."""
    if spec.allow_new_privileges is not False and not profile.allow_new_privileges:
        yield Violation(
            field="allow_new_privileges",
            rule="new privileges",
            setting="allow_new_privileges",
            message="its processes could gain privileges by setuid programs",
        )


def judge_devices(spec: ContainerSpec, profile: Profile, _: Surroundings) -> Iterator[Violation]:
    """Return a violation for each device of the host that is not listed by this very path."""
    for index, device in enumerate(spec.devices):
        if not is_listed(device.host_path, profile.allowed_devices):
            yield Violation(
                field=f"devices[{index}].host_path",
                rule="device not listed",
                setting="allowed_devices",
                message=f"the device {device.host_path!r} is not one of those that are allowed",
            )


def judge_sysctls(spec: ContainerSpec, profile: Profile, _: Surroundings) -> Iterator[Violation]:
    """Return a violation for each kernel parameter that is not listed."""
    for name in spec.sysctls:
        if not is_listed(name, profile.allowed_sysctls):
            yield Violation(
                field=f"sysctls[{name!r}]",
                rule="kernel parameter not listed",
                setting="allowed_sysctls",
                message=f"the kernel parameter {name!r} is not one of those that are allowed",
            )


def judge_groups(spec: ContainerSpec, profile: Profile, _: Surroundings) -> Iterator[Violation]:
    """Return the violation of further groups."""
    if spec.group_add and not profile.allow_group_add:
        yield Violation(
            field="group_add",
            rule="further groups",
            setting="allow_group_add",
            message="a group's number means a group of the host on what the host shares",
        )


def _plain(capability: str) -> str:
    """Return a capability as Docker reads it: without case and prefix."""
    return capability.upper().removeprefix("CAP_")
