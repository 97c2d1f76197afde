import asyncio
import re

import pytest

from proad.config import Settings
from proad.errors import BadServiceKeyError
from proad.model.scope import Scope
from rpc.daemon import authenticating


def use(state, key):
    """Return the token that the daemon would issue for a key."""

    async def run():
        async with authenticating(Settings(state_dir=state)) as authenticator:
            return await authenticator.create_token_for_key(key, peer="unix:")

    return asyncio.run(run())


@pytest.fixture
def ann(given):
    arguments = ("--scope", "basic", "--scope", "advanced", "--password-stdin")
    given("user", "add", "ann", *arguments, stdin="sehr geheim\n")


@pytest.mark.usefixtures("ann")
def test_key_create_prints_a_key_that_serves(proad, state):
    key = proad("key", "create", "Ann", "--name", "ci", "--scope", "basic")
    assert re.fullmatch(r"proa_sk_[A-Za-z0-9_-]{64}\n", key)
    assert use(state, key.strip()).scopes == {Scope.BASIC}


@pytest.mark.usefixtures("ann")
def test_key_list_shows_what_a_key_may_and_when_it_was_used(proad, state):
    assert proad("key", "list").split() == [
        *("USER", "NAME", "SCOPES", "ACCESS", "CREATED", "EXPIRES", "LAST", "USE")
    ]
    key = proad(
        "key", "create", "ann", "--name", "ci", "--scope", "basic",
        "--access", "own", "--expires", "never",
    ).strip()  # fmt: skip
    row = proad("key", "list").splitlines()[1]
    assert re.fullmatch(r"ann +ci +basic +own +\d{4}-\d\d-\d\d +never +never", row)
    use(state, key)
    listed = proad("key", "list")
    assert re.search(r"never +\d{4}-\d\d-\d\d \d\d:\d\dZ\n", listed)
    assert key[-20:] not in listed


@pytest.mark.usefixtures("ann")
def test_key_revoke_ends_the_key(proad, state):
    key = proad("key", "create", "ann", "--name", "ci", "--scope", "basic").strip()
    assert "revoked" in proad("key", "revoke", "ann", "ci")
    with pytest.raises(BadServiceKeyError):
        use(state, key)
    assert "there is no key 'ci'" in proad("key", "revoke", "ann", "ci", code=1)


@pytest.mark.usefixtures("ann")
@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("nobody", "--name", "ci", "--scope", "basic"), "there is no user 'nobody'"),
        (("ann", "--name", "ci", "--scope", "audit"), "ann does not have audit"),
        (("ann", "--name", "a b", "--scope", "basic"), "letters and digits"),
        (("ann", "--name", "-x", "--scope", "basic"), "letters and digits"),
        (("ann", "--name", "ci", "--scope", "basic", "--expires", "soon"), "number of days"),
        (("ann", "--name", "ci", "--scope", "basic", "--expires", "0d"), "number of days"),
    ],
)
def test_key_create_of_what_cannot_be_says_why(given, arguments, what):
    assert what in given("key", "create", *arguments, code=1)
    assert len(given("key", "list").splitlines()) == 1


@pytest.mark.usefixtures("ann")
def test_key_create_of_a_name_twice_is_refused(proad, given):
    given("key", "create", "ann", "--name", "ci", "--scope", "basic")
    assert "ci" in proad("key", "create", "ann", "--name", "ci", "--scope", "basic", code=1)


@pytest.mark.usefixtures("ann")
def test_key_create_without_a_scope_is_a_usage_error(proad):
    assert "--scope" in proad("key", "create", "ann", "--name", "ci", code=2)
