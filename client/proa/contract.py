"""Properties of the RPCs, from the descriptors of `proa.v1`."""

import json
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from datetime import timedelta

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from proa import v1

RETRY_ATTEMPTS = 4
RETRY_FIRST_BACKOFF = timedelta(milliseconds=200)
RETRY_LONGEST_BACKOFF = timedelta(seconds=2)

_POOL = descriptor_pool.Default()
_CREDENTIALS = frozenset({"password", "refresh_token", "service_key"})
_SAFE = (MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT)


def methods() -> Iterator[MethodDescriptor]:
    """Yield all RPCs of the contract."""
    for name in v1.__all__:
        if name.endswith("Stub"):
            yield from _POOL.FindServiceByName(f"proa.v1.{name.removesuffix('Stub')}").methods


def path(method: MethodDescriptor) -> str:
    """Return the path of an RPC on the wire: "/proa.v1.HostService/GetHost"."""
    return f"/{method.containing_service.full_name}/{method.name}"


def needs_token(method: MethodDescriptor) -> bool:
    """Return whether an RPC requires a token."""
    return not method.GetOptions().Extensions[v1.access].public


def carries_credentials(method: MethodDescriptor) -> bool:
    """Return whether the request of an RPC has a password or another secret that logs in."""
    return not _CREDENTIALS.isdisjoint(method.input_type.fields_by_name)


def check_request(path: str, request: object) -> None:
    """Check that an object is the request of an RPC.

    gRPC would report a wrong type as an INTERNAL error of the call. The message omits the
    value, which may be a password.

    Raises:
        TypeError: the object has another type.
    """
    method, wanted = _REQUESTS[path]
    if not isinstance(request, wanted):
        raise _wrong(method, request)


def check_requests(path: str, requests: object) -> None:
    """Check that an object may give the requests of an RPC that takes a stream of them.

    Raises:
        TypeError: it cannot.
    """
    method, _wanted = _REQUESTS[path]
    if isinstance(requests, str | bytes | Mapping | Message) or not isinstance(
        requests, Iterable | AsyncIterable
    ):
        raise _wrong(method, requests)


def _wrong(method: MethodDescriptor, request: object) -> TypeError:
    first = next((f"{field.name}=…" for field in method.input_type.fields), "")
    each = "an iterable of " if method.client_streaming else ""
    return TypeError(
        f"{method.name} takes {each}v1.{method.input_type.name}({first}), "
        f"not {type(request).__name__}"
    )


def renewal(path: str, token: str) -> Message | None:
    """Return the request that renews the token of a stream; None: the RPC has none."""
    method, request = _REQUESTS[path]
    if "renew" not in method.input_type.fields_by_name:
        return None
    return request(renew=v1.TokenRenewal(token=token))


def repeatable(method: MethodDescriptor) -> bool:
    """Return whether an RPC may be repeated, by its option `idempotency_level`."""
    return method.GetOptions().idempotency_level in _SAFE


def journalled(method: MethodDescriptor) -> bool:
    """Return whether an RPC happens once for each `request_id`."""
    options = method.GetOptions()
    return (
        options.idempotency_level != MethodOptions.NO_SIDE_EFFECTS
        and options.Extensions[v1.journal] != v1.JOURNAL_NONE
        and "request_id" in method.input_type.fields_by_name
    )


JOURNALLED = frozenset(path(method) for method in methods() if journalled(method))
"""Paths of the RPCs that happen once for each `request_id`."""

_REQUESTS = {path(method): (method, GetMessageClass(method.input_type)) for method in methods()}


def service_config(*, request_ids: bool) -> str:
    """Return the channel's service config: repeatable RPCs are retried after UNAVAILABLE.

    With request ids, those that happen once for each id are not in it: `proa.repeats` repeats
    them, for longer.
    """
    names = [
        {"service": method.containing_service.full_name, "method": method.name}
        for method in methods()
        if repeatable(method) and not (request_ids and journalled(method))
    ]
    policy = {
        "maxAttempts": RETRY_ATTEMPTS,
        "initialBackoff": _json_duration(RETRY_FIRST_BACKOFF),
        "maxBackoff": _json_duration(RETRY_LONGEST_BACKOFF),
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return json.dumps({"methodConfig": [{"name": names, "retryPolicy": policy}]})


def _json_duration(duration: timedelta) -> str:
    return f"{duration.total_seconds():g}s"
