"""Random requests of every RPC, built from the descriptors: none may cause an internal error."""

import asyncio

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rpc.daemon import ALL, IMAGE, RPCS, Refusal
from rpc.odd_requests import OddRequests

NAMES = ["vm", "web", "s1", "container/web", "default", "local", IMAGE, "a:1", "ann", "name"]
XML = "<domain><name>x</name><memory>65536</memory></domain>"
TEXTS = st.sampled_from([*NAMES, XML, "/srv", "10.0.0.1", "0", ""]) | st.text(max_size=12)
BITS = {
    "TYPE_INT32": (-(2**31), 2**31 - 1),
    "TYPE_INT64": (-(2**63), 2**63 - 1),
}
REQUIRED = ("id", "spec", "name", "image", "memory_bytes", "xml")
DEEPEST = 4


def numbers(low, high):
    wanted = [low, high, 0, 1, -1, 80, 2**26]
    return st.sampled_from([n for n in wanted if low <= n <= high]) | st.integers(low, high)


def single(field, depth):
    match field.type:
        case field.TYPE_STRING | field.TYPE_BYTES:
            return TEXTS if field.type == field.TYPE_STRING else st.binary(max_size=12)
        case field.TYPE_BOOL:
            return st.booleans()
        case field.TYPE_DOUBLE:
            return st.floats()
        case field.TYPE_ENUM:
            return st.integers(-1, len(field.enum_type.values))
        case field.TYPE_MESSAGE:
            return messages(field.message_type, depth + 1)
    (limits,) = (BITS[name] for name in BITS if getattr(field, name) == field.type)
    return numbers(*limits)


def values(field, depth):
    if field.is_repeated and field.message_type and field.message_type.GetOptions().map_entry:
        entry = field.message_type.fields_by_name
        return st.dictionaries(TEXTS, single(entry["value"], depth), max_size=2)
    if field.is_repeated:
        return st.lists(single(field, depth), max_size=3)
    return single(field, depth)


def messages(descriptor, depth=0):
    """Messages with some of their fields set, to right and to wrong values."""
    cls = GetMessageClass(descriptor)
    if depth > DEEPEST:
        return st.just(cls())

    def deferred(field):
        return st.deferred(lambda: values(field, depth))

    some = {field.name: deferred(field) for field in descriptor.fields}
    # A request without these ends too early to be of interest.
    wanted = {name: some.pop(name) for name in REQUIRED if name in some}
    return st.fixed_dictionaries(wanted, optional=some).map(lambda fields: build(cls, fields))


def build(cls, fields):
    message = cls()
    for name, value in fields.items():
        if isinstance(value, list):
            getattr(message, name).extend(value)
        elif isinstance(value, dict):
            put(getattr(message, name), value)
        elif hasattr(value, "DESCRIPTOR"):
            getattr(message, name).CopyFrom(value)
        else:
            setattr(message, name, value)
    return message


def put(there, entries):
    for key, value in entries.items():
        if hasattr(value, "DESCRIPTOR"):
            there[key].CopyFrom(value)
        else:
            there[key] = value


REQUESTS = st.sampled_from([*RPCS.values()]).flatmap(
    lambda rpc: st.tuples(st.just(rpc), messages(rpc.request.DESCRIPTOR))
)


@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(REQUESTS)
async def test_fuzz_any_request_is_no_internal_error(daemon, drawn):
    rpc, request = drawn
    there = await daemon.names()
    if "vm" not in there:
        await daemon.domain("vm", start=False, diskless=True)
    if "web" not in there:
        await daemon.container("web")
    call = daemon.send(rpc, request, token=daemon.token(*ALL, username="eve"))

    try:
        await (call.read() if rpc.streams else call)
    except grpc.aio.AioRpcError as error:
        refused = Refusal.of(error)
        assert refused.reason not in {None, "INTERNAL"}, refused
    finally:
        call.cancel()


@pytest.mark.parametrize("name", RPCS)
async def test_fuzz_any_bytes_are_no_internal_error(daemon, name):
    """A sample of the million requests that `make soak` sends."""
    odd = OddRequests(seed=sorted(RPCS).index(name))
    await daemon.domain("vm", start=False, diskless=True)
    await daemon.container("web")
    token = daemon.token(*ALL, username="eve")

    for _ in range(60):
        data = odd.data(RPCS[name].request)
        call = daemon.send(RPCS[name], data, token=token, timeout=None)
        try:
            async with asyncio.timeout(0.5):
                await (call.read() if RPCS[name].streams else call)
        except TimeoutError:  # a stop that waits for its guest, a watch of nothing
            pass
        except grpc.aio.AioRpcError as error:
            refused = Refusal.of(error)
            assert refused.reason not in {None, "INTERNAL"}, (data, refused)
        finally:
            call.cancel()
