"""What `proa audit` says beside its table."""

import pytest

from proa import v1
from proa.cli.audit import paths_beside

FIRST, SECOND = "local/container/1111", "local/container/2222"
FOUND = [
    v1.AuditEntry(target="web", path=SECOND),
    v1.AuditEntry(target="web", path=FIRST),
    v1.AuditEntry(target="web"),
    v1.AuditEntry(target="web", path=SECOND),
]


@pytest.mark.parametrize(
    ("resource", "paths"),
    [("web", [SECOND, FIRST]), (SECOND, []), ("", [])],
    ids=["name", "path", "everything"],
)
def test_paths_beside_are_of_what_a_name_stood_for(resource, paths):
    assert paths_beside(resource, FOUND) == paths


def test_paths_beside_of_a_name_in_use_for_long_are_the_last_few():
    found = [v1.AuditEntry(target="web", path=f"local/container/{n}") for n in range(100)]
    assert paths_beside("web", found) == [f"local/container/{n}" for n in range(5)]
