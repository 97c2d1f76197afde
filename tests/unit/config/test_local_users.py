"""The settings of the login socket."""

import pytest

from proad.config import Settings
from proad.model.scope import Scope

LOGIN = "/run/proa/login.sock"
BIN = {"name": "bin", "user": "Ann"}


def test_local_user_has_a_folded_user_and_all_scopes_by_default():
    settings = Settings.model_validate(
        {"login_socket": LOGIN, "local_user": [BIN, {"uid": 0, "user": "x", "scopes": ["basic"]}]}
    )
    first, second = settings.local_users
    assert (first.user, first.scopes) == ("ann", None)
    assert (second.uid, second.scopes) == (0, frozenset({Scope.BASIC}))


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ({"user": "ann"}, "needs one of uid, name and group"),
        ({**BIN, "uid": 2}, "needs one of uid, name and group"),
        ({"name": "bin"}, "user"),
        ({**BIN, "scopes": ["root"]}, "scopes"),
        ({"uid": -1, "user": "ann"}, "uid"),
        ({"uid": 2**32 - 1, "user": "ann"}, "uid"),
        ({"name": "", "user": "ann"}, "name"),
        ({"name": "b\0n", "user": "ann"}, "name"),
        ({"group": "b\0n", "user": "ann"}, "group"),
        ({**BIN, "surprise": 1}, "surprise"),
    ],
)
def test_local_user_with_a_mistake_is_refused(table, what):
    with pytest.raises(ValueError, match=what):
        Settings.model_validate({"login_socket": LOGIN, "local_user": [table]})


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"local_user": [BIN]}, "local_user needs login_socket"),
        ({"login_socket": LOGIN, "listen": f"unix:{LOGIN}"}, "is in listen, too"),
        ({"login_socket": "/" + "a" * 120}, "at most 107 bytes"),
    ],
)
def test_login_socket_with_a_mistake_is_refused(settings, what):
    with pytest.raises(ValueError, match=what):
        Settings.model_validate(settings)
