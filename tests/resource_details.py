"""The details of a resource whose kind a test knows."""

from proad.model import Container, ContainerSpec, Domain, DomainSpec, Resource


def container_of(resource: Resource) -> Container:
    """Return the details of a container."""
    assert resource.container is not None
    return resource.container


def spec_of(resource: Resource) -> ContainerSpec:
    """Return the specification of a container."""
    spec = container_of(resource).spec
    assert spec is not None
    return spec


def domain_of(resource: Resource) -> Domain:
    """Return the details of a domain."""
    assert resource.domain is not None
    return resource.domain


def domain_spec_of(resource: Resource) -> DomainSpec:
    """Return the specification that a FULL view of a domain shows."""
    spec = domain_of(resource).spec
    assert spec is not None
    return spec
