"""Output-only enum values: no request may set one, in any field."""

import pytest
from google.protobuf.message_factory import GetMessageClass

from proa import v1
from rpc.daemon import BOTH, RPCS, refusal


def only_told(enum):
    """Return the numbers of an enum that cannot be set."""
    return [
        value.number
        for value in enum.values
        if any(option.name == "output_only" for option, _ in value.GetOptions().ListFields())
    ]


def chosen_fields(message, path=(), inside=()):
    """The paths to all enum fields of a message that have such a value, and the value."""
    for field in message.fields:
        if field.enum_type is not None:
            yield from (((*path, field), number) for number in only_told(field.enum_type))
        elif field.message_type is not None and field.message_type not in inside:
            yield from chosen_fields(field.message_type, (*path, field), (*inside, message))


CASES = [
    (rpc, path, number)
    for rpc in RPCS.values()
    for path, number in chosen_fields(rpc.request.DESCRIPTOR)
]


def put(message, path, number):
    """Set the field at a path, and say how the path is written."""
    field, *rest = path
    if field.enum_type is not None:
        if field.is_repeated:
            getattr(message, field.name).append(number)
            return f"{field.name}[0]"
        setattr(message, field.name, number)
        return field.name
    inner = getattr(message, field.name)
    if field.is_repeated:
        return f"{field.name}[0].{put(inner.add(), rest, number)}"
    return f"{field.name}.{put(inner, rest, number)}"


def named(case):
    rpc, path, number = case
    return f"{rpc.name}-{'.'.join(field.name for field in path)}-{number}"


def test_output_only_fields_are_found():
    found = {(rpc.name, ".".join(field.name for field in path)) for rpc, path, _ in CASES}

    assert {
        ("CreateDomain", "spec.boot_order"),
        ("CreateDomain", "spec.firmware"),
        ("CreateDomain", "spec.cpu_mode"),
        ("CreateDomain", "spec.video"),
        ("CreateDomain", "spec.graphics.type"),
        ("CreateDomain", "spec.networks.model"),
        ("CreateDomain", "spec.disks.bus"),
        ("CreateDomain", "spec.disks.volume.format"),
        ("CreateDomain", "spec.disks.new_volume.base.format"),
        ("CreateDomain", "spec.cdroms.volume.format"),
        ("CreateVolume", "spec.format"),
        ("CreateContainer", "spec.ports.protocol"),
        ("CreateContainer", "spec.restart_policy.mode"),
        ("UpdateResource", "container.restart_policy.mode"),
    } <= found


@pytest.mark.parametrize("case", CASES, ids=named)
async def test_request_output_only_value_is_refused_with_its_field(daemon, case):
    rpc, path, number = case
    request = GetMessageClass(rpc.request.DESCRIPTOR)()
    field = put(request, path, number)
    for required, value in {"id": "vm", "name": "new", "image": "x"}.items():
        if required in request.DESCRIPTOR.fields_by_name:
            setattr(request, required, value)
    # They look at no other field.
    if isinstance(request, v1.UpdateResourceRequest | v1.RecreateContainerRequest):
        request.update_mask.paths.append(path[1].name)

    refused = await refusal(daemon.send(rpc, request, token=daemon.token(*BOTH)))

    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", [field])
    assert "cannot be set" in refused.message
