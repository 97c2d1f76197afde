"""The details of a resource whose kind a test knows."""

from proad.model import Container, Domain, Resource


def container_of(resource: Resource) -> Container:
    """Return the details of a container."""
    assert resource.container is not None
    return resource.container


def domain_of(resource: Resource) -> Domain:
    """Return the details of a domain."""
    assert resource.domain is not None
    return resource.domain
