"""The access log of calls by unknown callers: some lines, a count, no names."""

import asyncio

from structlog.testing import capture_logs

from eventually import eventually
from proa import v1
from proad.model.scope import Scope
from rpc.daemon import RPCS, refusal


async def test_access_log_many_refused_calls_has_some_lines_and_a_count(daemon):
    def refused(number):
        name, request, token = [
            ("ListResources", v1.ListResourcesRequest(), None),
            ("GetCaller", v1.GetCallerRequest(), "nonsense"),
            ("CreateToken", b"\xff", None),
            ("CreateToken", v1.CreateTokenRequest(username="s3cretname", password="wrong"), None),
        ][number % (4 if number < 40 else 3)]  # hashing passwords takes long
        # A call that is cancelled early may have no line.
        return refusal(daemon.send(RPCS[name], request, token=token, timeout=120))

    with capture_logs() as lines:
        await asyncio.gather(*map(refused, range(200)))
        await daemon.call("ListResources")

        def refused_lines():
            return [line for line in lines if line["event"] == "call" and not line["subject"]]

        async def all_counted():
            notices = [line for line in lines if line["event"] == "refused calls without a line"]
            counted = sum(line["count"] for line in notices)
            known = any(line.get("subject") == "ann" for line in lines)
            return known and len(refused_lines()) + counted == 200

        await eventually(all_counted, within=120)

    assert len(refused_lines()) < 100
    assert [line["code"] for line in lines if line.get("subject") == "ann"] == ["OK"]
    assert "s3cretname" not in str(lines)


async def test_access_log_calls_denied_to_a_known_caller_has_all_with_the_name(daemon):
    request = v1.StopResourceRequest(id="web")
    with capture_logs() as lines:
        for _ in range(20):
            token = daemon.token(Scope.BASIC)
            await refusal(daemon.send(RPCS["StopResource"], request, token=token))

        def denied():
            return [line["subject"] for line in lines if line.get("reason") == "SCOPE_MISSING"]

        async def all_written():
            return len(denied()) == 20

        await eventually(all_written)

    assert set(denied()) == {"ann"}
