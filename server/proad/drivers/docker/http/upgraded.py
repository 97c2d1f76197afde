"""Connections to a Docker Engine that carry bytes both ways, after an upgrade of the protocol."""

import json
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from proad.drivers.docker.http.api import Answer
from proad.drivers.docker.http.handover import (
    Carrier,
    HandedOver,
    answer_of,
    refusal,
)
from proad.drivers.docker.http.transport import Transport

DETACH_KEYS = ",".join(["ctrl-^", "ctrl-@"] * 8)
"""The keys by which Docker itself detaches a caller: who wants to detach leaves.

It must have some, and holds the first one back until the next one comes, so that one is taken which
hardly anybody types.
"""

_UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}
_JSON = {"Content-Type": "application/json"}


def upgrade(
    carrier: Carrier,
    transport: Transport,
    target: str,
    body: Mapping[str, Any] | None,
    limit: timedelta,
) -> Answer | HandedOver:
    """Send a POST request whose answer turns its connection into a stream of bytes. Blocks.

    Return the Answer of a failure. `limit` is the longest silence until then.
    """
    with carrier.connection(transport, target, limit) as (own, path):
        # Without a body there must be no byte of one: it would be the first of the stream.
        content = None if body is None else json.dumps(body).encode()
        headers = _UPGRADE if body is None else _UPGRADE | _JSON
        own.request("POST", path, body=content, headers=headers)
        answer = answer_of(own)
        if answer.status != HTTPStatus.SWITCHING_PROTOCOLS:
            return refusal(answer)
        return carrier.handed_over(answer)
