"""Every method that changes something is in the audit log, by the descriptors of the contract."""

import pytest

from proad.rpc.methods import methods
from rpc.conftest import PASSWORD
from rpc.daemon import BOTH, RPCS
from rpc.test_audit import calls, entries

CHANGING = {path: method for path, method in methods().items() if method.changes}


def login(daemon):
    rpc = RPCS["CreateToken"]
    return daemon.send(rpc, rpc.request(username="ann", password=PASSWORD))


async def refreshed(daemon):
    rpc, token = RPCS["RefreshToken"], (await login(daemon)).refresh_token
    return daemon.send(rpc, rpc.request(refresh_token=token))


async def logged_in(daemon):
    return login(daemon)


# Calls without a token are written once they have succeeded: how each does.
PUBLIC = {"CreateToken": logged_in, "RefreshToken": refreshed}


@pytest.mark.parametrize("path", sorted(CHANGING))
async def test_changing_method_writes_intent_and_outcome(daemon, path):
    rpc = RPCS[path.rpartition("/")[2]]
    if CHANGING[path].access.public:
        call = await PUBLIC[rpc.name](daemon)
    else:
        call = daemon.send(rpc, rpc.request(), token=daemon.token(*BOTH))
    await call.code()

    entry = (await entries(daemon)).entries[0]
    intents, outcomes = await calls(daemon, 1)
    intent, outcome = intents[-1], outcomes[-1]
    assert (intent["method_name"], outcome["intent"]) == (path, intent["sequence"])
    assert (entry.method_name, entry.sequence) == (path, intent["sequence"])
    assert entry.username == "ann"
