import pytest

from proad.model.scope import Scope, read_scopes, write_scopes


@pytest.mark.parametrize(
    ("scopes", "text"),
    [
        ([], ""),
        ([Scope.BASIC], "basic"),
        ([Scope.ADVANCED], "advanced"),
        ([Scope.ADVANCED, Scope.BASIC, Scope.ADVANCED], "basic advanced"),
    ],
)
def test_read_scopes_of_written_scopes_returns_them(scopes, text):
    assert write_scopes(scopes) == text
    assert read_scopes(text) == frozenset(scopes)


def test_read_scopes_with_an_unknown_scope_raises_value_error():
    with pytest.raises(ValueError, match="root"):
        read_scopes("basic root")
