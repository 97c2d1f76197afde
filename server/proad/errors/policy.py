"""The error of what the host's policy denies, and what it consists of."""

from collections.abc import Sequence
from dataclasses import dataclass

from proad.errors.root import ProaError, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One thing that the policy denies.

    Attributes:
        field: its path in the request, such as "spec.mounts[0].bind", or its XPath; empty: the
            request as a whole.
        rule: the rule, in a few words that stay the same for programs, such as
            "registry not listed".
        setting: the setting of the profile that would allow it; empty: none does.
        message: what is denied, for people: a clause without an end, such as
            "the registry 'a.test' is not one of those that are allowed".
    """

    field: str = ""
    rule: str
    setting: str = ""
    message: str


class PolicyDeniedError(ProaError):
    """The host's policy forbids the request to its caller.

    Args:
        violations: what is denied, at least one thing; the metadata tells of the first, and which
            settings would allow all.
        profile: the caller's profile.
        path: path of the resource that exists and is judged; empty: none does.
    """

    reason = Reason.POLICY_DENIED

    def __init__(self, violations: Sequence[Violation], *, profile: str, path: str = "") -> None:
        first = violations[0]
        told = "; ".join(map(_told, violations))
        super().__init__(
            f"the policy of this host denies this to the profile {profile!r}: {told}",
            metadata={
                "rule": first.rule,
                "setting": first.setting,
                "settings": _settings(violations),
                "profile": profile,
            }
            | ({"path": path} if path else {}),
        )
        self.violations = tuple(violations)


def _settings(violations: Sequence[Violation]) -> str:
    """Return the settings that together would allow all, with commas; empty if none would."""
    settings = dict.fromkeys(each.setting for each in violations)
    return "" if "" in settings else ",".join(settings)


def _told(violation: Violation) -> str:
    where = f"{violation.field}: " if violation.field else ""
    return f"{where}{violation.message} ({remedy(violation)})"


def remedy(violation: Violation) -> str:
    """Return what would allow what a violation denies, for people."""
    return f"setting {violation.setting}" if violation.setting else "no setting allows it"
