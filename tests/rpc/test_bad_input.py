"""Bad input: always a clear error that reaches the client, never INTERNAL."""

import base64
import json

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from rpc.daemon import ALL, IMAGE, RPCS, changing, refusal

HUGE = {
    "wide": "\N{GRINNING FACE}" * 2**18,
    "nul": "\0" * 2**20,
    "quotes": "'\"" * 2**19,
    "hexadecimal": "0123456789abcdef" * 2**16,
}
# Clients take 8 KiB of trailers by default; ours must not come near.
MOST_TRAILER_BYTES = 8000


def text_fields():
    """The RPCs with the text fields of their requests, one message down as well."""
    for rpc in RPCS.values():
        for field in rpc.request.DESCRIPTOR.fields:
            if field.type == field.TYPE_STRING and not field.is_repeated:
                yield rpc, (field.name,)
            elif field.type == field.TYPE_MESSAGE and field.name in {"spec", "filter"}:
                yield from (
                    (rpc, (field.name, inner.name))
                    for inner in field.message_type.fields
                    if inner.type == inner.TYPE_STRING and not inner.is_repeated
                )


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "..", "."])
async def test_delete_volume_path_for_name_is_refused(daemon, name):
    refused = await refusal(daemon.call("DeleteVolume", name=name))
    assert refused.code == "INVALID_ARGUMENT"
    assert refused.fields == ["name"]


def filled(rpc, path, value):
    """A request of `rpc` that is all right but for the field at `path`."""
    request = rpc.request()
    good = {
        "id": "vm",
        "name": "s1",
        "image": IMAGE,
        "username": "ann",
        "password": "x",
        "xml": "<x/>",
    }
    for field in request.DESCRIPTOR.fields:
        if field.name in good:
            setattr(request, field.name, good[field.name])
    if rpc.name == "CreateContainer":
        request.spec.image = IMAGE
    elif rpc.name == "CreateDomain":
        request.spec.name, request.spec.memory_bytes = "new", 2**26
    elif rpc.name == "CreateVolume":
        request.spec.name, request.spec.capacity_bytes = "new", 2**20
    *parents, name = path
    target = request
    for parent in parents:
        target = getattr(target, parent)
    setattr(target, name, value)
    if rpc.name == "RecreateContainer" and parents:
        request.update_mask.paths.append((*parents, name)[1])
    return request


async def ending(daemon, rpc, request):
    """Return the refusal of a call, or None if it succeeded."""
    call = daemon.send(rpc, request, token=daemon.token(*ALL, username="eve"))
    try:
        refused = await refusal(call.read() if rpc.streams else call)
    except AssertionError:
        call.cancel()
        return None
    assert refused.reason not in {None, "INTERNAL"}, (rpc.name, refused)
    trailers = sum(len(key) + len(value) for key, value in await call.trailing_metadata())
    # The text travels a second time, as percent-encoded grpc-message.
    trailers += 3 * len(refused.message.encode())
    assert trailers < MOST_TRAILER_BYTES, (rpc.name, trailers)
    return refused


@pytest.mark.parametrize("kind", HUGE)
async def test_request_megabyte_in_any_text_field_is_refused_with_an_error_that_arrives(
    daemon, kind
):
    await daemon.domain("vm")
    endings = {}

    for rpc, path in text_fields():
        if path == ("id",) or kind == "wide":
            endings[rpc.name, path] = await ending(daemon, rpc, filled(rpc, path, HUGE[kind]))

    ids = [refused for (_, path), refused in endings.items() if path == ("id",)]
    assert len(ids) > 10
    assert {refused.code for refused in ids} <= {"NOT_FOUND", "INVALID_ARGUMENT"}


# Fields that are compared with what there is.
OPAQUE = {"host", "page_token", "order_by", "id", "request_id", "refresh_token", "service_key"}


@pytest.mark.parametrize("text", ["a\0b", "\x01", "\uffff", "\u202e", "../..", " "])
async def test_request_odd_characters_in_any_text_field_is_no_internal_error(daemon, text):
    await daemon.domain("vm")

    for rpc, path in text_fields():
        refused = await ending(daemon, rpc, filled(rpc, path, text))

        if "\0" in text and path[-1] not in OPAQUE:
            assert refused is None or refused.code == "INVALID_ARGUMENT", (rpc.name, path, refused)


@pytest.mark.parametrize("text", ["\uffff", "\x02", "]]>", "<&>\"'"])
async def test_create_domain_text_that_is_accepted_is_in_its_xml(daemon, text):
    """Text that XML cannot hold is refused by the create; otherwise reading the XML would fail."""
    call = daemon.call(
        "CreateDomain",
        spec={"name": "vm", "memory_bytes": 2**26, "labels": {text: text}, "description": text},
    )

    if text in {"\uffff", "\x02"}:
        assert "spec.description" in (await refusal(call)).fields
    else:
        await call
        assert (await daemon.call("GetDomainXml", id="vm")).xml


@pytest.mark.parametrize(
    ("call", "request_", "field"),
    [
        ("ListResources", {"filter": {"kinds": [0]}}, "filter.kinds[0]"),
        ("ListResources", {"filter": {"kinds": [1, 77]}}, "filter.kinds[1]"),
        ("ListResources", {"filter": {"states": [-1]}}, "filter.states[0]"),
        ("ListResources", {"view": 99}, "view"),
        ("GetResource", {"id": "vm", "view": -5}, "view"),
        ("StopResource", {"id": "vm", "mode": 99}, "mode"),
        ("RestartResource", {"id": "vm", "mode": 2**31 - 1}, "mode"),
        ("RevertSnapshot", {"id": "vm", "name": "s", "state": 9}, "state"),
        ("CreateToken", {"username": "a", "password": "b", "scopes": [9]}, "scopes[0]"),
        ("CreateToken", {"username": "a", "password": "b", "scopes": [2, 0]}, "scopes[1]"),
        ("CreateDomain", {"spec": {"firmware": 9}}, "spec.firmware"),
        ("CreateDomain", {"spec": {"boot_order": [1, 9]}}, "spec.boot_order[1]"),
        ("CreateContainer", {"spec": {"ports": [{}, {"protocol": 8}]}}, "spec.ports[1].protocol"),
    ],
)
async def test_request_unknown_enum_value_names_the_field(daemon, call, request_, field):
    refused = await refusal(daemon.call(call, **request_))

    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", [field])


@pytest.mark.parametrize(
    "grace",
    [
        Duration(seconds=-1),
        Duration(seconds=3601),
        Duration(seconds=2**63 - 1),
        Duration(seconds=-(2**63)),
        Duration(nanos=-1000),
    ],
    ids=str,
)
async def test_stop_grace_period_out_of_range_is_refused(daemon, grace):
    await daemon.domain("vm")

    for call in ("StopResource", "RestartResource"):
        refused = await refusal(daemon.call(call, id="vm", grace_period=grace))
        assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", ["grace_period"])


async def test_request_duration_out_of_range_is_refused(daemon):
    await daemon.container("web", start=False)

    for seconds in (2**63 - 1, -(2**63), 253402300800, -62135596801):
        before = Timestamp(seconds=seconds)
        refused = await refusal(daemon.call("PruneContainers", create_time_before=before))
        assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", ["create_time_before"])
    assert await daemon.names() == ["web"]


@pytest.mark.parametrize("call", ["ListResources", "ListImages", "ListVolumes", "ListSnapshots"])
async def test_list_negative_page_size_is_refused(daemon, call):
    await daemon.domain("vm")
    request = {"id": "vm"} if call == "ListSnapshots" else {}

    for size in (-1, -(2**31)):
        refused = await refusal(daemon.call(call, page_size=size, **request))
        assert refused.fields == ["page_size"]
    assert await daemon.call(call, page_size=2**31 - 1, **request)


NO_PATHS = ["nope", "", ".", "name.", "container..image", "id.name", "labels.a", "a" * 60_000]


@pytest.mark.parametrize("call", ["GetResource", "ListResources"])
async def test_list_unknown_read_mask_is_refused(daemon, call):
    request = {"id": "vm"} if call == "GetResource" else {}

    for path in NO_PATHS:
        mask = FieldMask(paths=["name", path])
        refused = await refusal(daemon.call(call, read_mask=mask, **request))
        assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", ["read_mask"])


async def test_list_unknown_order_by_is_refused(daemon):
    for order in ("nope", "name up", "name desc desc", ",", "name,", "desc", "NAME"):
        refused = await refusal(daemon.call("ListResources", order_by=order))
        assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", ["order_by"])


def packed(content):
    return base64.urlsafe_b64encode(content).decode()


NO_TOKENS = [
    "nope",
    "é",
    "=",
    "====",
    packed(b"\xff"),
    packed(b"[]"),
    packed(b"{}"),
    packed(b"17"),
    packed(b"[" * 3_000),
    packed(b"9" * 3_000),
    packed(json.dumps(["0" * 16, "web"]).encode()),
]


@pytest.mark.parametrize("call", ["ListResources", "ListImages", "ListVolumes"])
async def test_list_made_up_page_token_is_refused(daemon, call):
    for token in NO_TOKENS:
        refused = await refusal(daemon.call(call, page_token=token))
        assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"), token


@pytest.mark.parametrize("memory", [0, 1, 2**20, 2**25 + 1, 2**47, 2**63 - 1, -1, -(2**63)])
async def test_create_domain_absurd_memory_is_refused(daemon, memory):
    refused = await refusal(
        daemon.call("CreateDomain", spec={"name": "vm", "memory_bytes": memory})
    )

    assert refused.fields == ["spec.memory_bytes"]
    assert await daemon.names() == []


@pytest.mark.parametrize(
    ("resources", "field"),
    [
        ({"memory_bytes": -1}, "memory_bytes"),
        ({"memory_reservation_bytes": -(2**63)}, "memory_reservation_bytes"),
        ({"cpu_shares": -1}, "cpu_shares"),
        ({"pids_limit": -(2**31)}, "pids_limit"),
        ({"memory_swap_bytes": -2}, "memory_swap_bytes"),
        ({"cpus": float("nan")}, "cpus"),
        ({"cpus": float("inf")}, "cpus"),
        ({"cpus": -0.5}, "cpus"),
        ({"cpuset_cpus": "all"}, "cpuset_cpus"),
    ],
)
async def test_create_container_absurd_limits_are_refused(daemon, resources, field):
    refused = await refusal(
        daemon.call("CreateContainer", spec={"image": IMAGE, "resources": resources})
    )

    assert refused.fields == [f"spec.resources.{field}"]


@pytest.mark.parametrize(
    ("password", "wanted"),
    [
        ("", "INVALID_ARGUMENT"),
        ("ä" * 36, "BAD_CREDENTIALS"),
        ("ä" * 36 + "a", "INVALID_ARGUMENT"),
        ("a\0b", "INVALID_ARGUMENT"),
    ],
)
async def test_create_token_password_over_limit_is_refused(daemon, password, wanted):
    refused = await refusal(daemon.call("CreateToken", username="ann", password=password))

    assert refused.reason == wanted
    assert refused.fields == ([] if wanted == "BAD_CREDENTIALS" else ["password"])


@pytest.mark.parametrize("name", ["", "a/b", "a\0b", "-a", "a b", "ä", "a" * 201])
async def test_update_invalid_name_is_refused_as_in_create(daemon, name):
    await daemon.domain("vm", start=False)

    refused = await refusal(daemon.call("UpdateResource", id="vm", **changing("domain", name=name)))

    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", ["domain.name"])


async def test_update_of_the_other_kind_is_refused(daemon):
    await daemon.container("web")

    refused = await refusal(daemon.call("UpdateResource", id="web", **changing("domain", vcpus=2)))

    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", ["domain"])
