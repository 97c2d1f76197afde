"""Image names in SUMMARYs after their tags have come to mean other images."""

from proad.drivers.docker.image_names import ImageNames
from proad.model import Container, Resource, ResourceKind, ResourceState


def listed(id: str, image: str) -> Resource:
    return Resource(
        id=id,
        kind=ResourceKind.CONTAINER,
        name=id,
        state=ResourceState.RUNNING,
        container=Container(image=image, image_id="sha256:1"),
    )


def kept(names: ImageNames, *resources: Resource) -> list[str]:
    found = {resource.id: resource for resource in resources}
    names.keep(found)
    return [each.container.image for each in found.values() if each.container is not None]


def test_image_names_keep_of_known_container_gives_first_name():
    names = ImageNames()
    assert kept(names, listed("a", "web:1"), listed("b", "db:1")) == ["web:1", "db:1"]
    assert kept(names, listed("a", "sha256:1"), listed("b", "db:1")) == ["web:1", "db:1"]


def test_image_names_keep_after_forget_gives_listed_name():
    names = ImageNames()
    kept(names, listed("a", "web:1"), listed("b", "db:1"))
    names.forget("a")
    assert kept(names, listed("a", "sha256:1"), listed("b", "sha256:1")) == ["sha256:1", "db:1"]


def test_image_names_forget_others_keeps_these_alone():
    names = ImageNames()
    kept(names, listed("a", "web:1"), listed("b", "db:1"))
    names.forget_others(["b"])
    assert kept(names, listed("a", "sha256:1"), listed("b", "sha256:1")) == ["sha256:1", "db:1"]
