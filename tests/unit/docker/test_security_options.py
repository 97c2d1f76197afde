"""The option of new privileges, as Docker takes and shows it."""

from typing import Any

import pytest

from proad.drivers.docker.spec import creation
from proad.model import ContainerSpec
from unit.docker.engine_answers import full, inspected


@pytest.mark.parametrize(
    ("options", "allowed", "omitted"),
    [
        (None, True, False),
        ([], True, False),
        (["no-new-privileges"], False, False),
        (["no-new-privileges:true"], False, False),
        (["no-new-privileges=T"], False, False),
        (["no-new-privileges=false"], True, False),
        (["no-new-privileges", "no-new-privileges:0"], True, False),
        (["no-new-privileges=yes"], True, True),  # what no engine takes
        (["seccomp=unconfined"], True, True),
        (["no-new-privileges", "apparmor:unconfined"], False, True),
        (["label=disable"], True, True),
    ],
)
def test_view_reads_new_privileges_as_the_engine_does(
    options: Any, *, allowed: bool, omitted: bool
):
    container = full(inspected(HostConfig={"SecurityOpt": options})).container
    assert container is not None
    assert container.spec is not None
    assert container.spec.allow_new_privileges is allowed
    assert ("HostConfig.SecurityOpt" in container.spec_omits) is omitted


@pytest.mark.parametrize(
    ("allowed", "options"),
    [(None, None), (True, ["no-new-privileges=false"]), (False, ["no-new-privileges"])],
)
def test_creation_says_whether_new_privileges_are_allowed(allowed: bool | None, options: Any):  # noqa: FBT001
    body = creation(ContainerSpec(image="debian", allow_new_privileges=allowed), "1")
    assert body["HostConfig"].get("SecurityOpt") == options
