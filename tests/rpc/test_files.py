"""FileService: what is moved, what is refused, and what is left behind."""

import asyncio
import hashlib
import os

import grpc
import pytest

from eventually import eventually
from proad.drivers.memory import MemoryDriver
from proad.model import ContainerSpec
from proad.model.scope import Scope
from proad.rpc.timing import RpcTiming
from proad.timing import DaemonTiming
from rpc.daemon import IMAGE, RPCS, refusal
from rpc.file_calls import READ, WRITE, Upload, names, read, write
from rpc.test_audit import lines


@pytest.fixture
async def daemon(serve):
    daemon = await serve()
    await daemon.container("web")
    await daemon.domain("vm")
    return daemon


@pytest.fixture(params=["web", "vm"])
def id(request):
    """Return a resource of each kind."""
    return request.param


async def test_file_is_read_as_it_was_written_with_its_digest(daemon, id):
    data = os.urandom(300_000)
    digest = await write(daemon, id, "/etc/file", data, mode=0o600)

    file, found, end = await read(daemon, id, "//etc/./file/")
    assert found == data
    assert (file.name, file.size_bytes, file.mode) == ("file", len(data), 0o600)
    assert end == digest
    assert (end.size_bytes, end.sha256) == (len(data), hashlib.sha256(data).digest())
    stat = (await daemon.call("StatFile", id=id, path="/etc/file")).file
    assert stat.size_bytes == len(data)


async def test_part_of_file_is_read_with_the_digest_of_the_part(daemon):
    await write(daemon, "web", "/etc/file", b"0123456789")

    _, found, end = await read(daemon, "web", "/etc/file", offset=3, length=4)
    assert (found, end.size_bytes, end.sha256) == (b"3456", 4, hashlib.sha256(b"3456").digest())
    assert (await read(daemon, "web", "/etc/file", length=0))[1] == b""


async def test_directory_is_listed_in_pages_by_name(daemon, id):
    wanted = sorted(f"{number:x}-\N{SNOWMAN}" for number in range(25))
    for name in wanted:
        await write(daemon, id, f"/tmp/{name}", b"")

    found, token = await names(daemon, id, "/tmp", page_size=10)
    while token:
        more, token = await names(daemon, id, "/tmp", page_size=10, page_token=token)
        found += more
    assert found == wanted


async def test_token_of_another_directory_is_refused(daemon):
    _, token = await names(daemon, "web", "/", page_size=1)

    refused = await refusal(daemon.call("ListFiles", id="web", path="/etc", page_token=token))
    assert refused.reason == "PAGE_TOKEN_INVALID"


async def test_directory_is_made_and_removed(daemon, id):
    await daemon.call("MakeDirectory", id=id, path="/a/b", parents=True)
    assert (await names(daemon, id, "/a"))[0] == ["b"]
    refused = await refusal(daemon.call("RemoveFile", id=id, path="/a"))
    assert refused.reason == "ENGINE_CONFLICT"
    await daemon.call("RemoveFile", id=id, path="/a", recursive=True)
    assert (await refusal(daemon.call("StatFile", id=id, path="/a"))).reason == "FILE_NOT_FOUND"


async def test_files_of_stopped_container_are_reached_and_of_domain_not(daemon):
    for id in ("web", "vm"):
        await daemon.call("StopResource", id=id, mode="STOP_MODE_FORCE")
    await write(daemon, "web", "/etc/file", b"data")
    assert (await read(daemon, "web", "/etc/file"))[1] == b"data"

    refused = await refusal(daemon.call("StatFile", id="vm", path="/etc"))
    assert refused.reason == "RESOURCE_NOT_RUNNING"
    refused = await refusal(daemon.call("ListFiles", id="web", path="/etc"))
    assert refused.reason == "RESOURCE_NOT_RUNNING"


PATHS = ["", "file", "/a/../b", "/..", "/a\0b", "/" + "a" * 256, "/a" * 65, "/" + "a" * 5000]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ["StatFile", "ListFiles", "MakeDirectory", "RemoveFile"])
async def test_wrong_path_is_refused(daemon, name, path):
    refused = await refusal(daemon.call(name, id="web", path=path))
    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", ["path"])


@pytest.mark.parametrize("path", PATHS)
async def test_wrong_path_of_a_stream_is_refused(daemon, path):
    refused = await refusal(daemon.call("ReadFile", id="web", path=path).read())
    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", ["path"])
    refused = await Upload(daemon, id="web", path=path).refused()
    assert refused.reason == "INVALID_ARGUMENT"
    assert refused.fields[0] in {"path", "start.path"}


@pytest.mark.parametrize("name", ["MakeDirectory", "RemoveFile"])
async def test_root_is_neither_made_nor_removed(daemon, name):
    refused = await refusal(daemon.call(name, id="web", path="//"))
    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", ["path"])


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"size_bytes": -1}, "start.size_bytes"),
        ({"mode": 0o10000}, "start.mode"),
        ({"uid": -1}, "start.uid"),
        ({"gid": 2**32}, "start.gid"),
    ],
)
async def test_wrong_start_of_a_write_is_refused(daemon, fields, field):
    refused = await Upload(daemon, id="web", path="/file", **fields).refused()
    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", [field])


@pytest.mark.parametrize("size", [0, 9, 11])
async def test_write_of_another_size_than_announced_changes_nothing(daemon, size):
    await write(daemon, "web", "/etc/file", b"old")
    upload = await Upload.begun(daemon, id="web", path="/etc/file", size_bytes=10, overwrite=True)
    upload.say(data=b"x" * size)
    upload.end()

    refused = await upload.refused()
    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", ["data"])
    assert (await read(daemon, "web", "/etc/file"))[1] == b"old"


async def test_write_whose_caller_goes_away_changes_nothing(daemon):
    await write(daemon, "web", "/etc/file", b"old")
    upload = await Upload.begun(daemon, id="web", path="/etc/file", size_bytes=9, overwrite=True)
    upload.say(data=b"new")
    upload.call.cancel()

    # To the daemon, that is the end of the requests, or of the call.
    await eventually(lambda: ended(daemon, WRITE, "CANCELLED", "INVALID_ARGUMENT"))
    assert (await read(daemon, "web", "/etc/file"))[1] == b"old"
    assert (await names(daemon, "web", "/etc"))[0] == ["file"]


async def test_write_twice_needs_overwrite(daemon):
    await write(daemon, "web", "/etc/file", b"old")
    refused = await Upload(daemon, id="web", path="/etc/file").refused()
    assert (refused.code, refused.reason) == ("ALREADY_EXISTS", "ALREADY_EXISTS")


async def test_second_start_is_refused(daemon):
    upload = await Upload.begun(daemon, id="web", path="/etc/file")
    upload.say(start={"id": "web", "path": "/etc/other"})
    assert (await upload.refused()).fields == ["start"]


async def test_write_goes_on_with_another_token_and_ends_with_its_user(daemon):
    upload = await Upload.begun(daemon, id="web", path="/etc/file", size_bytes=4)
    upload.say(data=b"ab")
    upload.say(renew={"token": daemon.token(Scope.BASIC, Scope.ADVANCED)})
    upload.say(data=b"cd")
    assert (await upload.digest()).size_bytes == 4

    upload = await Upload.begun(daemon, id="web", path="/etc/other", size_bytes=4)
    await daemon.users.set_disabled("ann", disabled=True)
    assert (await asyncio.wait_for(upload.refused(), 60)).reason == "TOKEN_INVALID"


async def test_read_that_nobody_takes_ends_with_its_user(daemon):
    await write(daemon, "web", "/etc/file", bytes(10_000_000))
    call = daemon.call("ReadFile", id="web", path="/etc/file", timeout=600)
    await call.read()
    await daemon.users.set_disabled("ann", disabled=True)

    await eventually(lambda: ended(daemon, READ, "CANCELLED"))


async def test_write_whose_caller_falls_silent_ends_and_changes_nothing(serve):
    daemon = await serve(timing=DaemonTiming(rpc=RpcTiming(file_idle=0.2)))
    await daemon.container("web")
    upload = await Upload.begun(daemon, id="web", path="/etc/file", size_bytes=2)
    upload.say(data=b"a")

    refused = await upload.refused()
    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", ["data"])
    assert (await names(daemon, "web", "/etc"))[0] == []


async def test_read_that_nobody_takes_ends(serve):
    daemon = await serve(timing=DaemonTiming(rpc=RpcTiming(file_idle=0.5)))
    await daemon.container("web")
    await write(daemon, "web", "/etc/file", bytes(10_000_000))
    call = daemon.call("ReadFile", id="web", path="/etc/file", timeout=600)
    await call.read()

    await eventually(lambda: ended(daemon, READ, "RESOURCE_EXHAUSTED"))
    assert (await refusal(_rest(call))).reason == "READER_TOO_SLOW"


async def _rest(call):
    """Read a call to its end."""
    while await call.read() is not grpc.aio.EOF:
        pass


@pytest.mark.parametrize("name", ["StatFile", "ListFiles", "MakeDirectory", "RemoveFile"])
async def test_files_need_the_scope_advanced(daemon, name):
    rpc = RPCS[name]
    call = daemon.send(rpc, rpc.request(id="web", path="/etc"), token=daemon.token(Scope.BASIC))
    assert (await refusal(call)).reason == "SCOPE_MISSING"


async def test_files_of_what_was_made_outside_are_denied(serve):
    driver = MemoryDriver()
    await driver.create_container(ContainerSpec(image=IMAGE, name="old"))
    daemon = await serve(("local", driver), policy={"foreign": "lifecycle"})

    for call in (
        daemon.call("StatFile", id="old", path="/etc"),
        daemon.call("ReadFile", id="old", path="/etc/file").read(),
        daemon.call("MakeDirectory", id="old", path="/new"),
    ):
        denied = await refusal(call)
        assert (denied.reason, denied.metadata["setting"]) == ("POLICY_DENIED", "foreign")
    assert (await Upload(daemon, id="old", path="/new").refused()).reason == "POLICY_DENIED"


async def test_files_beyond_the_limit_of_streams_are_refused(serve):
    daemon = await serve(user_request_streams=1)
    await daemon.container("web")
    upload = await Upload.begun(daemon, id="web", path="/etc/file")

    for call in (
        daemon.call("ReadFile", id="web", path="/etc/file").read(),
        daemon.call("ListFiles", id="web", path="/etc"),
    ):
        assert (await refusal(call)).metadata["setting"] == "user_request_streams"
    await upload.digest()
    assert (await names(daemon, "web", "/etc"))[0] == ["file"]


async def test_read_and_write_are_in_the_audit_log_with_their_bytes(daemon):
    await write(daemon, "web", "/etc/file", bytes(5000))
    await read(daemon, "web", "/etc/file")
    await eventually(lambda: ended(daemon, READ, "OK"))

    (wrote,), (was_read,) = outcomes(daemon, WRITE), outcomes(daemon, READ)
    assert 5000 < wrote["received_bytes"] < 6000
    assert 5000 < was_read["sent_bytes"] < 6000
    assert was_read["path"].startswith("local/container/")


def outcomes(daemon, rpc):
    """Return what the audit log tells of the ends of a method's calls."""
    begun = {
        line["sequence"] for line in lines(daemon, "intent") if line["method_name"] == rpc.path
    }
    return [line for line in lines(daemon, "outcome") if line["intent"] in begun]


async def ended(daemon, rpc, *codes):
    """Return whether a call of a method has ended so."""
    return any(line["code"] in codes for line in outcomes(daemon, rpc))
