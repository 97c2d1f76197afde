"""The login socket, asked by real other users of this host."""

import asyncio
import grp
import json
import pwd
import socket
import stat
from typing import Any

import pytest
from google.protobuf import json_format

from eventually import eventually
from other_user import NOBODY, ask_as, idle_connections
from proa import v1
from proad.model import Access
from rpc.daemon import RPCS, refusal

BIN, GAMES = pwd.getpwnam("bin").pw_uid, pwd.getpwnam("games").pw_uid
MAN, MAIL = grp.getgrnam("man").gr_gid, grp.getgrnam("mail").gr_gid


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    folder.chmod(0o755)
    return folder / "login.sock"


@pytest.fixture
async def logins(serve, path):
    """Start a daemon with these tables."""

    async def start(*tables, **others):
        settings = {"login_socket": path, "local_user": tables, "socket_mode": "0666"}
        return await serve(**settings | others)

    return start


@pytest.fixture
def ask(path):
    """Ask as a user of the host, and return the answer; None: the daemon hung up."""

    async def run(uid, sent=b"{}\n", **ids):
        answer = await asyncio.to_thread(ask_as, uid, path, sent, **ids)
        return json.loads(answer) if answer else None

    return run


def reason(answer):
    return answer["error"]["details"][0]["reason"]


async def caller(daemon, answer):
    response = json_format.ParseDict(answer, v1.CreateTokenResponse())
    rpc = RPCS["GetCaller"]
    return await daemon.send(rpc, rpc.request(), token=response.token)


async def test_logins_over_the_rate_of_the_daemons_user_are_refused(logins, ask):
    await logins({"name": "bin", "user": "ann"}, user_calls_per_second=2)
    answers = [await ask(BIN) for _ in range(6)]
    refused = [reason(each) for each in answers if "error" in each]
    assert "token" in answers[0]
    assert refused
    assert set(refused) == {"TOO_MANY_CALLS"}


async def test_mapped_user_gets_a_token_that_is_audited(logins, ask):
    daemon = await logins({"name": "bin", "user": "Ann", "scopes": ["basic"]})

    answer = await ask(BIN)

    assert answer["scopes"] == ["SCOPE_BASIC"]
    assert "refreshToken" not in answer
    who = await caller(daemon, answer)
    assert (who.username, list(who.scopes)) == ("ann", [v1.SCOPE_BASIC])

    rpc, token = RPCS["ListEntries"], daemon.token("audit", username="eve")
    logged: list[Any] = []

    async def entries():
        logged[:] = (await daemon.send(rpc, rpc.request(), token=token)).entries
        return logged

    await eventually(entries)
    [entry] = logged
    assert (entry.username, entry.peer) == ("ann", f"unix:uid={BIN}")
    assert entry.method_name == "/proa.v1.AuthService/CreateToken"
    assert entry.token_id


@pytest.mark.parametrize(
    ("table", "uid", "groups"),
    [
        ({"name": "bin"}, GAMES, []),
        ({"uid": BIN}, GAMES, []),
        ({"group": "man"}, BIN, [MAIL]),
        ({"name": "nobody"}, NOBODY, []),
        ({"uid": NOBODY}, NOBODY, []),
        ({"group": "nogroup"}, BIN, [NOBODY]),
        ({"group": "man"}, 0, [MAN]),
        ({"name": "bin"}, 0, []),
        ({"name": "who-is-not-there"}, BIN, []),
        ({"group": "what-is-not-there"}, BIN, []),
    ],
    ids=[
        *("another name", "another uid", "another group", "nobody by name", "nobody by uid"),
        *("the group of nobody", "root in a group", "root", "no such user", "no such group"),
    ],
)
async def test_user_whom_no_table_fits_gets_nothing(logins, ask, table, uid, groups):
    await logins({**table, "user": "ann"})

    answer = await ask(uid, groups=groups)

    assert reason(answer) == "BAD_CREDENTIALS"
    assert "token" not in answer


@pytest.mark.parametrize("table", [{"uid": 0}, {"name": "root"}], ids=["uid", "name"])
async def test_root_that_is_named_gets_a_token(logins, ask, table):
    daemon = await logins({**table, "user": "ann"})
    assert (await caller(daemon, await ask(0, group=0))).username == "ann"


async def test_user_in_two_groups_is_whom_the_first_table_says_or_whom_the_user_names(logins, ask):
    daemon = await logins({"group": "man", "user": "bob"}, {"group": "mail", "user": "ann"})
    both = {"groups": [MAIL, MAN]}

    assert (await caller(daemon, await ask(BIN, **both))).username == "bob"
    named = await ask(BIN, b'{"username": "ANN"}\n', **both)
    assert (await caller(daemon, named)).username == "ann"
    other = await ask(BIN, b'{"username": "eve"}\n', **both)
    assert reason(other) == "BAD_CREDENTIALS"
    one = await ask(BIN, b'{"username": "bob"}\n', groups=[MAIL])
    assert reason(one) == "BAD_CREDENTIALS"


async def test_token_has_no_more_than_table_and_user_allow(logins, ask):
    daemon = await logins(
        {"name": "bin", "user": "eve", "scopes": ["basic"]}, {"name": "games", "user": "bob"}
    )
    for uid in (BIN, GAMES):
        assert reason(await ask(uid, b'{"scopes": [2]}\n')) == "SCOPE_MISSING"
        assert (await ask(uid))["scopes"] == ["SCOPE_BASIC"]
    await daemon.users.set_access("bob", Access.OWN, "")
    assert reason(await ask(GAMES, b'{"access": "ACCESS_ALL"}\n')) == "ACCESS_MISSING"
    assert (await caller(daemon, await ask(GAMES))).access == v1.ACCESS_OWN


async def test_disabled_and_removed_users_are_told_as_those_whom_no_table_fits(logins, ask):
    daemon = await logins({"name": "bin", "user": "bob"})
    before = await ask(BIN)
    nobody = await ask(GAMES)
    await daemon.users.set_disabled("bob", disabled=True)
    disabled = await ask(BIN)
    await daemon.users.remove("bob")
    removed = await ask(BIN)

    expected = json.dumps(nobody).replace(str(GAMES), str(BIN))
    assert json.dumps(disabled) == json.dumps(removed) == expected
    refused = await refusal(caller(daemon, before))
    assert refused.reason == "TOKEN_INVALID"


async def test_hundred_idle_connections_of_one_user_keep_nobody_else_out(logins, ask, path):
    daemon = await logins({"name": "bin", "user": "ann"})
    idle = []
    try:
        for _ in range(100):
            connection = socket.socket(socket.AF_UNIX)
            connection.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connection, str(path))
            connection.send(b'{"user')
            idle.append(connection)
        assert (await caller(daemon, await ask(BIN))).username == "ann"
    finally:
        for connection in idle:
            connection.close()


async def test_idle_connections_of_one_user_with_many_ids_keep_nobody_else_out(logins, ask, path):
    """A user may have thousands, in a namespace of its own, and keeps the group of the socket."""
    daemon = await logins({"name": "bin", "user": "ann"})
    idle = idle_connections(path, first=100_000, users=20, each=8)
    await asyncio.to_thread(idle.__enter__)
    try:
        assert (await caller(daemon, await ask(BIN))).username == "ann"
    finally:
        await asyncio.to_thread(idle.__exit__, None, None, None)


@pytest.mark.parametrize(
    "sent",
    [
        *(b"\n", b"null\n", b"[]\n", b"{\n", b'{"username": 1}\n', b'{"user": "eve"}\n'),
        *(b"\xff\xfe{}\n", b'{"scopes": [99]}\n', b'{"access": "ACCESS_ROOT"}\n'),
        b'{"username": "' + b"a" * 300 + b'"}\n',
        b'{"password": "correct horse", "username": "eve"}\n',
        b'{"serviceKey": "proa_sk_x"}\n',
        b"[" * 3000 + b"\n",
        b'{"a":' * 700 + b"\n",
    ],
)
async def test_line_that_is_no_request_is_an_invalid_argument(logins, ask, sent):
    await logins({"name": "bin", "user": "ann"})

    assert reason(await ask(BIN, sent)) == "INVALID_ARGUMENT"
    assert "token" in await ask(BIN)


@pytest.mark.parametrize("sent", [b"", b"{}", b"\0" * 4000, b"a" * 100_000, b"PRI * HTTP/2.0"])
async def test_caller_without_a_line_is_hung_up_on(logins, path, sent):
    await logins({"uid": 0, "user": "ann"})
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(sent)
    writer.write_eof()
    try:
        assert await reader.read() == b""
    except ConnectionError:
        pass  # the rest of it was not read
    finally:
        writer.close()


async def test_one_connection_gives_one_token(logins, ask):
    await logins({"name": "bin", "user": "ann"})
    assert "token" in await ask(BIN, b"{}\n{}\n{}\n")  # one line of JSON


async def test_socket_has_the_mode_of_the_settings_and_goes_with_the_daemon(serve, path):
    await serve(login_socket=path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
