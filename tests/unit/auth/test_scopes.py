import pytest

from proad.auth.scopes import Scope, read_scopes, write_scopes


@pytest.mark.parametrize(
    ("scopes", "text"),
    [
        ([], ""),
        ([Scope.BASIC], "basic"),
        ([Scope.ADVANCED], "advanced"),
        ([Scope.ADVANCED, Scope.BASIC, Scope.ADVANCED], "basic advanced"),
    ],
)
def test_written_and_read(scopes, text):
    assert write_scopes(scopes) == text
    assert read_scopes(text) == frozenset(scopes)


def test_unknown_scopes_are_refused():
    with pytest.raises(ValueError, match="root"):
        read_scopes("basic root")
