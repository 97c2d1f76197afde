"""Copies of frozen values with other fields."""

from dataclasses import dataclass, replace

import pytest

from proad.model import Resource, ResourceKind, ResourceState, replaced


@dataclass(frozen=True, slots=True)
class _Checked:
    one: int = 1
    two: int = 2

    def __post_init__(self):
        assert self.one < self.two


@dataclass(frozen=True)
class _Loose:
    one: int = 1
    two: int = 2


def test_replaced_equals_dataclasses_replace():
    before = Resource(
        id="1", kind=ResourceKind.CONTAINER, name="web", state=ResourceState.RUNNING, owner="ann"
    )

    after = replaced(before, etag="e-7", revision=7, labels={"tier": "web"})

    assert after == replace(before, etag="e-7", revision=7, labels={"tier": "web"})
    assert before.revision == 0


def test_replaced_unknown_field_raises():
    value = Resource(id="1", kind=ResourceKind.DOMAIN, name="vm", state=ResourceState.STOPPED)

    with pytest.raises(KeyError):
        replaced(value, colour="blue")


@pytest.mark.parametrize("value", [_Checked(), _Loose(), 5], ids=["checks", "no slots", "number"])
def test_replaced_value_that_init_must_make_raises(value):
    with pytest.raises(TypeError):
        replaced(value, one=0)
