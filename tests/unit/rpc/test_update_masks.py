"""The change that a specification and a mask make together."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from proa import v1
from proad.errors import InvalidArgumentError
from proad.model import ContainerSpec, DomainSpec, ResourceUpdate
from proad.model.update import LIMIT_PATHS
from proad.rpc.decode import decode_update


def container(*paths: str, **spec: Any) -> ResourceUpdate:
    mask = FieldMask(paths=paths)
    return decode_update(ContainerSpec, v1.ContainerSpec(**spec), mask, prefix="container")


def domain(*paths: str, **spec: Any) -> ResourceUpdate:
    mask = FieldMask(paths=paths)
    return decode_update(DomainSpec, v1.DomainSpec(**spec), mask, prefix="domain")


def test_update_without_image_and_name_is_valid():
    update = container("resources.cpus", resources={"cpus": 0.5})

    assert update.paths == {"resources.cpus"}
    assert isinstance(update.spec, ContainerSpec)
    assert update.spec.resources.cpus == 0.5


def test_update_with_wrong_fields_outside_the_mask_is_valid():
    update = domain("title", title="Desk", name="a b", memory_bytes=1, vcpus=-1)

    assert isinstance(update.spec, DomainSpec)
    assert update.spec.title == "Desk"


def test_update_of_a_named_field_that_is_not_set_is_its_default():
    update = domain("vcpus", "labels", title="ignored")

    assert isinstance(update.spec, DomainSpec)
    assert (update.spec.vcpus, update.spec.labels, update.spec.title) == (1, {}, "")


def test_update_of_all_resources_names_each_limit():
    assert container("resources", "name", name="web").paths == LIMIT_PATHS | {"name"}


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: container("no_such_field"), "update_mask"),
        (lambda: container("resources.sheep"), "update_mask"),
        (lambda: container("*"), "update_mask"),
        (lambda: container(""), "update_mask"),
        (lambda: container("env.KEY"), "update_mask"),
        (lambda: container("restart_policy.mode"), "update_mask"),
        (lambda: domain("resources"), "update_mask"),
        (lambda: container("resources.cpus", resources={"cpus": -0.5}), "container.resources.cpus"),
        (lambda: container("resources.cpus", resources={"cpus": 1e12}), "container.resources.cpus"),
        (lambda: container("image"), "container.image"),
        (lambda: domain("memory_bytes"), "domain.memory_bytes"),
        (lambda: domain("memory_bytes", memory_bytes=1), "domain.memory_bytes"),
        (lambda: domain("name"), "domain.name"),
        (lambda: domain("vcpus", vcpus=-1), "domain.vcpus"),
        (lambda: domain("labels", labels={"": "x"}), "domain.labels"),
    ],
)
def test_update_with_a_wrong_path_or_field_names_it(make, field: str):
    with pytest.raises(InvalidArgumentError) as caught:
        make()

    assert [each.field for each in caught.value.violations] == [field]
