"""The credentials that users have given for registries."""

from proad.core.actor import current_user_id
from proad.model import DOCKER_HUB, RegistryCredentials, registry_of

_MOST = 100
"""Registries of one user; beyond, the oldest login is forgotten."""


class RegistryLogins:
    """The credentials for registries, each for the pulls of its own user, in memory alone."""

    def __init__(self) -> None:
        # By user id, then by host and registry.
        self._kept: dict[str, dict[tuple[str, str], RegistryCredentials]] = {}

    def keep(self, host: str, credentials: RegistryCredentials) -> None:
        """Keep credentials for the current user's pulls of a host."""
        own = self._kept.setdefault(current_user_id(), {})
        key = host, credentials.registry or DOCKER_HUB
        own.pop(key, None)
        own[key] = credentials
        if len(own) > _MOST:
            del own[next(iter(own))]

    def find(self, host: str, image: str) -> RegistryCredentials | None:
        """Return the current user's credentials for the registry of an image."""
        return self._kept.get(current_user_id(), {}).get((host, registry_of(image)))

    def forget(self, host: str, registry: str) -> None:
        """Forget the current user's credentials for a registry."""
        own = self._kept.get(current_user_id(), {})
        own.pop((host, registry or DOCKER_HUB), None)
