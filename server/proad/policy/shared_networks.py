"""The engines' default networks, on which everybody's are."""

from collections.abc import Collection

RULE = "shared network"
SETTING = "allow_shared_networks"


def refusal(network: str, own: Collection[str]) -> str:
    """Return the message for a tenant who is to be on none; `own` are those of the profile."""
    names = ", ".join(own) or "the profile has none"
    return f"the network {network!r} is everybody's on this host; name one of your own ({names})"
