"""A target that can be none is a failure like others, not a fault of the command."""

import grpc
import pytest

import proa
from proa.cli.invocation import Invocation
from proa.cli.protocol import other_protocol
from proa.errors import Details


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    "target", ["a..b:1", f"{'a' * 70}:1", f"127.0.0.1:{'9' * 20}", f"unix:///{'a' * 200}"]
)
def test_other_protocol_of_an_impossible_target_is_empty(target, tls):
    error = proa.Unavailable(grpc.StatusCode.UNAVAILABLE, Details("no answer"))

    assert other_protocol(error, Invocation(target=target, tls=tls)) == ""
