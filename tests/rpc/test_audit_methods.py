"""Every method that changes something is in the audit log, by the descriptors of the contract."""

import pytest

from proa import v1
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


CANARY = "canary-7f3a9c"


def plant(message, depth=4):
    """Put a canary into every field that the contract marks as a secret."""
    for field in message.DESCRIPTOR.fields:
        if field.GetOptions().Extensions[v1.secret]:
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                getattr(message, field.name)["KEY"] = CANARY
            elif field.is_repeated:
                getattr(message, field.name).append(CANARY)
            elif field.type == field.TYPE_STRING:
                setattr(message, field.name, CANARY)
        elif field.message_type is not None and depth and not field.is_repeated:
            inner = getattr(message, field.name)
            plant(inner, depth - 1)


async def test_secrets_of_requests_are_in_no_line_and_no_entry(daemon):
    planted = 0
    for path in sorted(CHANGING):
        rpc = RPCS[path.rpartition("/")[2]]
        request = rpc.request()
        plant(request)
        planted += CANARY.encode() in request.SerializeToString()
        call = daemon.send(rpc, request, token=daemon.token(*BOTH))
        await call.code()

    assert planted >= 4
    shown = await entries(daemon)
    assert len(shown.entries) >= len(CHANGING) - 3
    assert CANARY.encode() not in shown.SerializeToString()
    for file in daemon.settings.audit_dir.iterdir():
        assert CANARY not in file.read_text()
