"""Values of secret environment variables, taken over from a container that has them."""

from dataclasses import replace

from proad.core.hosts import require
from proad.core.resolver import ResolvedResource
from proad.errors import InvalidArgumentError
from proad.model import ContainerSpec, EnvSecret, ResourceKind
from proad.ports import Containers


def redacted(spec: ContainerSpec) -> list[str]:
    """Return the names of the secrets whose values a specification leaves to a container."""
    return sorted(name for name, secret in spec.env_secret.items() if secret.redacted)


async def with_secrets(spec: ContainerSpec, source: ResolvedResource) -> ContainerSpec:
    """Return a specification whose redacted secrets have the values of a container's.

    Raises:
        InvalidArgumentError: `source` is a domain, or has no such secret.
    """
    if source.resource.kind is not ResourceKind.CONTAINER:
        raise InvalidArgumentError.of("secrets_from", "is a domain; name a container")
    driver = require(source.driver, Containers)
    values = await source.connection.read(lambda: driver.env_secrets(source.resource.id))
    names = redacted(spec)
    if absent := sorted({*names} - values.keys()):
        raise InvalidArgumentError.of(
            "spec.env_secret",
            f"{', '.join(absent)}: is redacted, and {source.resource.name!r} has no such secret; "
            "give a value",
        )
    taken = {name: EnvSecret(value=values[name]) for name in names}
    return replace(spec, env_secret={**spec.env_secret, **taken})
