r"""Every command of the CLI, with a daemon that puts terminal tricks into every string.

No daemon of ours can be made to say all of it: a scripted one answers each RPC with its
response filled, by the descriptors, or fails with a status full of the same.
"""

import ast
import json
import os
import pty
import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
import typer
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from typer.testing import CliRunner

import proa.cli
from proa import contract, v1
from proa.cli.app import app
from proa.cli.text import escaped
from unit.client.conftest import abort, make_status

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
CONTROLS = "".join(map(chr, [*range(1, 0x20), *range(0x7F, 0xA0)]))
HOSTILE = f"[red]a[/] :bomb: \x1b]0;gotcha\x07\x1b[2J\nError: b{CONTROLS}{BIDI}\u200b\u00adz"
XML = f"<x>\n\t{HOSTILE}\r\n</x>\n"

COMMANDS = {
    "login": ["ada", "--password-stdin"],
    "logout": [],
    "whoami": [],
    "ls": ["--all"],
    "get": ["x"],
    "host": [],
    "watch": [],
    "wait": ["x", "--state", "running"],
    "top": ["--once"],
    "run": ["img"],
    "recreate": ["x"],
    "start": ["x"],
    "stop": ["x"],
    "restart": ["x"],
    "pause": ["x"],
    "resume": ["x"],
    "rm": ["x"],
    "prune": ["--force"],
    "update": ["x", "--cpus", "1"],
    "rename": ["x", "new"],
    "images": [],
    "pull": ["img"],
    "rmi": ["img"],
    "vm create": ["desk", "--memory", "1GiB"],
    "vm xml": ["x"],
    "registry login": ["r.test", "--username", "u", "--password-stdin"],
    "registry logout": ["r.test"],
    "snapshot create": ["x"],
    "snapshot ls": ["x"],
    "snapshot revert": ["x", "s"],
    "snapshot rm": ["x", "s"],
    "volumes ls": [],
    "volumes create": ["v", "--size", "1GiB"],
    "volumes rm": ["v"],
    "audit": ["x"],
    "requests ls": [],
    "requests show": ["x"],
    "requests cancel": ["x"],
    "version": [],
    "logs": ["x"],
    "exec": ["--detach", "x", "true"],
    "port-forward": ["x", ":80"],
    "attach": ["--no-stdin", "x"],
    "console": ["--no-stdin", "x"],
    "cp": ["x:/f", "."],
    "files ls": ["x", "/d"],
    "files stat": ["x", "/f"],
    "files mkdir": ["x", "/d"],
    "files rm": ["x", "/f"],
    "network": [HOSTILE],
}  # fmt: skip


def filled(message, depth=6):
    """Fill every field of a message: texts hostile, enums with their first value."""
    for field in message.DESCRIPTOR.fields:
        if field.containing_oneof is not None and message.WhichOneof(field.containing_oneof.name):
            continue
        if field.name in {"next_page_token", "seconds", "nanos"}:
            continue
        if field.message_type is not None and not depth:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            fill_map(field, getattr(message, field.name), depth)
        elif field.message_type is not None and field.is_repeated:
            filled(getattr(message, field.name).add(), depth - 1)
        elif field.message_type is not None:
            getattr(message, field.name).SetInParent()
            filled(getattr(message, field.name), depth - 1)
        else:
            value: Any = HOSTILE if field.type == field.TYPE_STRING else 1
            if field.type == field.TYPE_BYTES:
                value = HOSTILE.encode()
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)
    return message


def fill_map(field, there, depth):
    if field.message_type.fields_by_name["value"].message_type is None:
        there[HOSTILE] = HOSTILE
    else:
        filled(there[HOSTILE], depth - 1)


class Hostile(grpc.GenericRpcHandler):
    """Answers every RPC of the contract, or fails it with `failure`."""

    def __init__(self):
        self.failure = None
        self._methods = {contract.path(method): method for method in contract.methods()}

    def service(self, details):
        method = self._methods[details.method]
        kind = GetMessageClass(method.output_type)

        def unary(request, context):
            if self.failure is not None:
                abort(context, self.failure)
            response = filled(kind())
            if isinstance(response, v1.GetDomainXmlResponse):
                response.xml = XML
            return response

        def stream(request, context):
            if self.failure is not None:
                abort(context, self.failure)
            yield from responses(kind)
            if kind is v1.WatchResourcesResponse:  # which ends with what no repetition mends
                abort(context, make_status(grpc.StatusCode.INVALID_ARGUMENT, HOSTILE, HOSTILE))

        serialize = kind.SerializeToString
        parse = GetMessageClass(method.input_type).FromString
        if method.client_streaming:
            return grpc.stream_stream_rpc_method_handler(
                lambda requests, context: stream(next(requests), context), parse, serialize
            )
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(stream, parse, serialize)
        return grpc.unary_unary_rpc_method_handler(unary, parse, serialize)


def responses(kind):
    if kind is v1.WatchResourcesResponse:
        change = filled(v1.ResourceChange())
        change.type = v1.CHANGE_TYPE_ADDED
        change.cause = v1.CHANGE_CAUSE_API
        change.resource.state = v1.RESOURCE_STATE_RUNNING
        synced = v1.WatchEvent(bookmark=v1.Bookmark(synced=True))
        yield v1.WatchResourcesResponse(events=[synced, v1.WatchEvent(change=change)])
        gap = v1.Gap(kind=v1.GAP_KIND_ENGINE_LOST, engine=filled(v1.EngineRef()), message=HOSTILE)
        yield v1.WatchResourcesResponse(events=[v1.WatchEvent(gap=gap)])
    elif kind is v1.PullImageResponse:
        yield v1.PullImageResponse(progress=filled(v1.PullProgress()))
        yield v1.PullImageResponse(image=filled(v1.Image()))
    elif kind is v1.ExecResponse:
        yield v1.ExecResponse(started=v1.ExecStarted(pid=1))
        yield v1.ExecResponse(stdout=HOSTILE.encode())
        yield v1.ExecResponse(stderr=HOSTILE.encode()[::-1])
        yield v1.ExecResponse(exit=v1.CommandExit(signal=HOSTILE, timed_out=True))
    elif kind is v1.AttachResponse:
        yield v1.AttachResponse(started=v1.AttachStarted())
        yield v1.AttachResponse(ended=v1.ConsoleEnd())
    else:
        yield filled(kind())


@pytest.fixture
def hostile():
    return Hostile()


@contextmanager
def served(handler):
    server = grpc.server(ThreadPoolExecutor(), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers([handler])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@pytest.fixture
def target(hostile, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("PROA_TOKEN", "ours")
    with served(hostile) as target:
        # "logout" wants a login that was kept.
        state = tmp_path / "proa" / "tokens.json"
        state.parent.mkdir(mode=0o700)
        state.write_text(json.dumps({target: "ours"}))
        yield target


@pytest.fixture
def run(target):
    def call(*arguments):
        return CliRunner().invoke(app, ["--target", target, *arguments], input="secret\n")

    return call


def leaves(command, path=()):
    """The commands that do something, by what is typed."""
    children = getattr(command, "commands", None)
    if not children:
        yield " ".join(path)
        return
    for name, child in children.items():
        yield from leaves(child, (*path, name))


def raw(text, keep="\n"):
    """What of a text a terminal would obey, or show otherwise than it is."""
    return {
        c
        for c in text
        if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and c not in keep
    }


def only_lines_of_ours(text):
    """No line begins with what was behind a line end in a text from elsewhere."""
    return not any(line.lstrip().startswith("Error: b") for line in text.splitlines())


def test_cases_cover_all_commands():
    assert set(COMMANDS) == set(leaves(typer.main.get_command(app)))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("form", ["table", "json"])
def test_command_with_hostile_responses_writes_printable_text_alone(run, command, form):
    result = run("--output", form, *command.split(), *COMMANDS[command])

    if isinstance(result.exception, Exception):
        raise result.exception
    exact = command == "vm xml" and form == "table"  # no terminal: the document itself
    if command == "logs" and form == "table":  # the bytes themselves, as well
        assert HOSTILE.encode() in result.stdout_bytes + result.stderr_bytes
        return
    if exact:
        assert result.stdout_bytes == XML.encode()
    else:
        assert raw(result.stdout) == set()
        assert only_lines_of_ours(result.stdout)
    assert raw(result.stderr) == set()
    assert only_lines_of_ours(result.stderr)
    if command == "watch":
        assert "gotcha" in result.stdout.splitlines()[1]
    if form == "json" and command == "watch":
        assert [set(json.loads(line)) for line in result.stdout.splitlines()] == [
            {"time", "bookmark"},
            {"time", "change"},
            {"time", "gap"},
        ]
    elif form == "json" and result.stdout.startswith(("{", "[")):
        json.loads(result.stdout)


@pytest.mark.parametrize(
    "command", sorted(COMMANDS.keys() - {"network"})
)  # which tells nothing of it
@pytest.mark.parametrize("form", ["table", "json"])
def test_command_with_a_hostile_error_writes_printable_text_alone(run, hostile, command, form):
    violation = error_details_pb2.BadRequest.FieldViolation(field=HOSTILE, description=HOSTILE)
    bad = error_details_pb2.BadRequest(field_violations=[violation])
    hostile.failure = make_status(
        grpc.StatusCode.INVALID_ARGUMENT, HOSTILE, HOSTILE, bad, key=HOSTILE
    )
    result = run("--output", form, *command.split(), *COMMANDS[command])

    assert result.exit_code == (125 if command in {"exec", "attach", "console"} else 2)
    assert raw(result.output) == set()
    assert only_lines_of_ours(result.output)
    assert "gotcha" in result.stderr
    if form == "json" and command not in {"logout", "network"}:
        assert json.loads(result.stderr)["error"]["message"] == HOSTILE


def test_exec_passes_the_output_of_the_command_on_as_it_is(run):
    result = run("exec", "x", "true")
    assert result.stdout_bytes == HOSTILE.encode()
    ours = b"Warning: its timeout has passed: it was killed\n"
    assert result.stderr_bytes == HOSTILE.encode()[::-1] + ours
    assert result.exit_code == 128


def test_table_and_line_with_markup_show_it_as_text(run):
    assert "[red]a[/] :bomb: " in run("snapshot", "ls", "x").stdout
    line = run("volumes", "create", "v", "--size", "1GiB").stdout
    assert line == f"{escaped(HOSTILE)}/{escaped(HOSTILE)}\n"
    assert escaped(HOSTILE).startswith(r"[red]a[/] :bomb: \x1b]0;gotcha\x07\x1b[2J\nError: b\x01")


def test_json_of_hostile_strings_decodes_to_them(run):
    found = json.loads(run("volumes", "ls", "-o", "json").stdout)
    assert found[0]["name"] == HOSTILE


@pytest.mark.parametrize("typed", [HOSTILE, "\udcff\x1b[2J", f"--{HOSTILE}"])
def test_usage_error_escapes_hostile_arguments(run, typed):
    for arguments in (
        ["ls", "--name", typed, typed],
        [typed],
        ["get", typed, typed],
        ["ls", typed],
    ):
        result = run(*arguments)
        assert result.exit_code == 2
        assert raw(result.output) == set()


def test_argument_that_is_no_unicode_is_refused_and_escaped(run):
    result = run("get", "\udcff\x1b[2J")
    assert result.exit_code == 2
    assert raw(result.output) == set()


def on_terminal(target, *arguments):
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from proa.cli import main; main()", "--target", target]
    process = subprocess.Popen(
        [*command, *arguments], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    seen = b""
    with suppress(OSError):  # how Linux tells the end of a terminal
        while True:
            seen += os.read(ours, 65536)
    process.wait()
    os.close(ours)
    return seen.decode().replace("\r\n", "\n")


def test_document_on_a_terminal_is_escaped(target):
    shown = on_terminal(target, "vm", "xml", "x")
    assert shown == escaped(XML, keep="\n\t")
    assert raw(shown, keep="\n\t") == set()


def test_lines_on_a_terminal_are_escaped(target):
    assert on_terminal(target, "start", "x").startswith(escaped(HOSTILE))


def test_only_the_output_module_writes():
    """Whatever else would write to a terminal would not be escaped."""
    folder = Path(proa.cli.__file__).parent
    ways = {"typer.echo", "typer.secho", "print", "sys.stdout", "sys.stderr", "Console"}
    found = {
        (file.name, ast.unparse(node))
        for file in folder.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) in ways
    }
    assert {file for file, _way in found} == {"output.py"}
