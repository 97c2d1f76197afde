"""Every method and every field of a request has a limit: in the contract, in its comment, held."""

import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from proa import v1
from rpc.daemon import ALL, RPCS, refusal

PROTOS = Path(__file__).parents[2] / "protos"
SIZES = {4096: "4 KiB", 65536: "64 KiB", 262144: "256 KiB", 1048576: "1 MiB"}
MASK = "google.protobuf.FieldMask"


def is_map(field):
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def is_mask(field):
    return field.message_type is not None and field.message_type.full_name == MASK


def is_text(field):
    return field.type in {field.TYPE_STRING, field.TYPE_BYTES}


def is_bytes(field):
    return field.type == field.TYPE_BYTES


def message_in(field):
    """The message type of a field, of a map that of its values; None if there is none."""
    return (
        field.message_type.fields_by_name["value"].message_type
        if is_map(field)
        else field.message_type
    )


def request_messages():
    """Every message type that a request has in it, by its full name."""
    found, left = {}, [rpc.request.DESCRIPTOR for rpc in RPCS.values()]
    while left:
        message = left.pop()
        if message.full_name in found or message.full_name.startswith("google."):
            continue
        found[message.full_name] = message
        left += [inner for inner in map(message_in, message.fields) if inner]
    return found


MESSAGES = request_messages()
FIELDS = {field.full_name: field for message in MESSAGES.values() for field in message.fields}


def limits(field):
    options = field.GetOptions().Extensions
    return options[v1.max_items], options[v1.max_key_length], options[v1.max_length]


def limit_sentence(field):
    """Return the sentence at the end of a field's comment, or None if nothing is limited."""
    items, key, length = limits(field)
    if is_map(field) and message_in(field):
        return f"At most {items} entries, keys of {key} characters."
    if is_map(field):
        return f"At most {items} entries, keys of {key} and values of {length} characters."
    if is_mask(field):
        return f"At most {items} paths of {length} characters each."
    if field.is_repeated and is_text(field):
        return f"At most {items} items of {length} characters each."
    if field.is_repeated:
        return f"At most {items} items."
    unit = "bytes" if is_bytes(field) else "characters"
    return f"At most {length} {unit}." if is_text(field) else None


@pytest.fixture(scope="module")
def comments(tmp_path_factory):
    """The comment above everything in the contract, by its full name."""
    out = tmp_path_factory.mktemp("descriptors") / "all.binpb"
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}"),
            *(f"-I{files('grpc_tools') / '_proto'}", "--include_source_info"),
            *(f"--descriptor_set_out={out}", *sources),
        ],
        check=True,
    )
    found = {}
    for file in FileDescriptorSet.FromString(out.read_bytes()).file:
        for location in file.source_code_info.location:
            match list(location.path):
                case [4, message, 2, field]:
                    parent = file.message_type[message]
                    name = f"{parent.name}.{parent.field[field].name}"
                case [4, message, 3, nested, 2, field]:
                    outer = file.message_type[message]
                    parent = outer.nested_type[nested]
                    name = f"{outer.name}.{parent.name}.{parent.field[field].name}"
                case [6, service, 2, method]:
                    owner = file.service[service]
                    name = f"{owner.name}.{owner.method[method].name}"
                case _:
                    continue
            found[f"{file.package}.{name}"] = location.leading_comments
    return found


def test_limit_of_every_method_is_in_its_comment(comments):
    for rpc in RPCS.values():
        service, _, name = rpc.path[1:].partition("/")
        full_name = f"{service}.{name}"
        size = rpc.max_request_bytes

        assert size in SIZES, full_name
        assert comments[full_name].splitlines()[-1] == f" A request has at most {SIZES[size]}."


@pytest.mark.parametrize("name", FIELDS)
def test_limits_of_every_request_field_are_in_its_comment(comments, name):
    field = FIELDS[name]
    items, key, length = limits(field)
    sentence = limit_sentence(field)

    many = field.is_repeated or is_mask(field)
    assert (items > 0, key > 0) == (many, is_map(field))
    texts = is_text(field) or is_mask(field) or (is_map(field) and not message_in(field))
    assert (length > 0) == texts
    if sentence is None:
        assert not re.search(r"At most \d+ (characters|bytes|items|entries|paths)", comments[name])
    else:
        assert comments[name].rstrip().splitlines()[-1] == f" {sentence}"


def chain(target):
    """The fields that lead from a request to a message type, with the request's method."""
    for rpc in RPCS.values():
        left: list[tuple[Any, tuple[Any, ...]]] = [(rpc.request.DESCRIPTOR, ())]
        while left:
            message, path = left.pop()
            if message is target:
                return rpc, path
            left += [
                (message_in(field), (*path, field))
                for field in message.fields
                if message_in(field) and not is_mask(field)
            ]
    raise AssertionError(target.full_name)


def over(field):
    """Values of a field that are just over each of its limits."""
    items, key, length = limits(field)
    if is_map(field):
        yield {str(number): "" for number in range(items + 1)}
        yield {"k" * (key + 1): ""}
        if length:
            yield {"k": "v" * (length + 1)}
    elif is_mask(field):
        yield ["name"] * (items + 1)
        yield ["p" * (length + 1)]
    elif field.is_repeated:
        yield items + 1
        if is_text(field):
            yield ["x" * (length + 1)]
    elif is_bytes(field):
        yield b"x" * (length + 1)
    elif is_text(field):
        yield "x" * (length + 1)


def fill(message, field, value):
    there = getattr(message, field.name)
    if is_map(field) and message_in(field):
        for key in value:
            there[key].SetInParent()
    elif is_map(field):
        there.update(value)
    elif is_mask(field):
        there.paths.extend(value)
    elif isinstance(value, int):
        if field.message_type:
            for _ in range(value):
                there.add()
        else:
            there.extend(["" if is_text(field) else 1] * value)
    elif field.is_repeated:
        there.extend(value)
    else:
        setattr(message, field.name, value)


LIMITED = {name: field for name, field in FIELDS.items() if limit_sentence(field)}


@pytest.mark.parametrize("name", LIMITED)
async def test_request_field_over_its_limit_is_refused_with_the_path(daemon, name):
    field = LIMITED[name]
    rpc, path = chain(field.containing_type)
    for value in over(field):
        request = rpc.request()
        message, where = request, []
        for step in path:
            message = getattr(message, step.name)
            if is_map(step):
                message = message["k"]
                where.append(f"{step.name}.k")
                continue
            message = message.add() if step.is_repeated else message
            where.append(f"{step.name}[0]" if step.is_repeated else step.name)
        fill(message, field, value)
        call = daemon.send(rpc, request, token=daemon.token(*ALL, username="eve"))

        refused = await refusal(call.read() if rpc.streams else call)

        assert refused.reason == "INVALID_ARGUMENT"
        if refused.fields != [""]:  # otherwise the message is too large as a whole
            wanted = ".".join([*where, field.name])
            assert refused.fields[0].startswith(wanted), (refused, wanted)
            assert "at most" in refused.message
        else:
            assert "bytes; this method takes" in refused.message


@pytest.mark.parametrize("name", RPCS)
async def test_request_over_the_limit_of_its_method_is_refused(daemon, name):
    rpc = RPCS[name]
    size = rpc.max_request_bytes
    call = daemon.send(
        rpc, b"\x78\x01" * (size // 2) + b"\x78\x01", token=daemon.token(*ALL, username="eve")
    )

    refused = await refusal(call.read() if rpc.streams else call)

    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    assert f"the request has {size + 2} bytes; this method takes {size} at the most" in (
        refused.message
    )
