"""Every reason, end to end: its code and what its details say."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from proad.drivers.memory import MemoryDriver
from proad.errors import EngineConflictError, EngineUnreachableError, Reason
from rpc.daemon import ALL, IMAGE, RPCS, refusal

SECOND = {"nanos": 50_000_000}
DEAF = {"proa.memory/ignores-stop": "true"}


async def nothing(daemon):
    pass


async def running_container(daemon):
    await daemon.container("web")


async def stopped_container(daemon):
    await daemon.container("web", start=False)


async def container_on_a_missing_network(daemon):
    await daemon.container("web", start=False, networks=[{"network": "missing"}])


async def running_domain(daemon):
    await daemon.domain("vm")


async def protected_domain(daemon):
    await daemon.domain("vm", deletion_protection=True)


async def deaf_domain(daemon):
    await daemon.domain("vm", labels=DEAF)


async def domain_with_snapshot(daemon):
    await daemon.domain("vm", start=False)
    await daemon.call("CreateSnapshot", id="vm", name="s1")


async def saved_domain(daemon):
    await daemon.domain("vm")
    await daemon.call("StopResource", id="vm", mode="STOP_MODE_SAVE")


async def one_of_each_named_web(daemon):
    await daemon.container("web")
    await daemon.domain("web")


@dataclass
class Case:
    """A call that must fail, and how. `details` are the classes besides the usual two."""

    code: str
    call: str
    request: dict[str, Any] = field(default_factory=dict)
    before: Callable[..., Awaitable[None]] = nothing
    metadata: dict[str, str] = field(default_factory=dict)
    details: set[str] = field(default_factory=set)


CASES = {
    Reason.RESOURCE_NOT_FOUND: Case(
        "NOT_FOUND", "StopResource", {"id": "nope"},
        metadata={"resource": "nope"}, details={"ResourceInfo"},
    ),
    Reason.IMAGE_NOT_FOUND: Case(
        "NOT_FOUND", "CreateContainer", {"spec": {"image": "nope:1"}},
        metadata={"image": "nope:1"}, details={"ResourceInfo"},
    ),
    Reason.SNAPSHOT_NOT_FOUND: Case(
        "NOT_FOUND", "RevertSnapshot", {"id": "vm", "name": "nope"}, running_domain,
        metadata={"snapshot": "nope"}, details={"ResourceInfo"},
    ),
    Reason.VOLUME_NOT_FOUND: Case(
        "NOT_FOUND", "DeleteVolume", {"name": "nope"},
        metadata={"volume": "nope"}, details={"ResourceInfo"},
    ),
    Reason.FILE_NOT_FOUND: Case(
        "NOT_FOUND", "StatFile", {"id": "vm", "path": "/nope"}, running_domain,
        metadata={"file": "/nope"}, details={"ResourceInfo"},
    ),
    Reason.HOST_NOT_FOUND: Case(
        "NOT_FOUND", "GetHost", {"host": "nope"},
        metadata={"host": "nope"}, details={"ResourceInfo"},
    ),
    Reason.INVALID_ARGUMENT: Case(
        "INVALID_ARGUMENT", "CreateDomain", {"spec": {"name": "vm"}}, details={"BadRequest"}
    ),
    Reason.AMBIGUOUS_ID: Case(
        "FAILED_PRECONDITION", "GetResource", {"id": "web"}, one_of_each_named_web,
        metadata={"id": "web"},
    ),
    Reason.PAGE_TOKEN_INVALID: Case(
        "INVALID_ARGUMENT", "ListResources", {"page_token": "nope"}
    ),
    Reason.ENGINE_CONFLICT: Case(
        "FAILED_PRECONDITION", "StartResource", {"id": "web"}, container_on_a_missing_network,
        metadata={"engine": "memory", "engine_message": "network missing not found"},
    ),
    Reason.STOP_TIMED_OUT: Case(
        "DEADLINE_EXCEEDED", "StopResource", {"id": "vm", "grace_period": SECOND}, deaf_domain,
        metadata={"name": "vm", "grace_seconds": "0.05"},
    ),
    Reason.CAPABILITY_MISSING: Case(
        "UNIMPLEMENTED", "StopResource", {"id": "web", "mode": "STOP_MODE_SAVE"},
        running_container, metadata={"capability": "stop mode SAVE", "driver": "memory"},
    ),
    Reason.RESOURCE_NOT_RUNNING: Case(
        "FAILED_PRECONDITION", "PauseResource", {"id": "web"}, stopped_container,
        metadata={"state": "STOPPED", "verb": "PAUSE", "allowed_verbs": "START,DELETE,UPDATE,RECREATE"},
        details={"PreconditionFailure"},
    ),
    Reason.RESOURCE_ALREADY_RUNNING: Case(
        "FAILED_PRECONDITION", "StartResource", {"id": "web"}, running_container,
        metadata={"name": "web", "state": "RUNNING", "verb": "START"},
        details={"PreconditionFailure"},
    ),
    Reason.RESOURCE_RUNNING: Case(
        "FAILED_PRECONDITION", "DeleteResource", {"id": "web"}, running_container,
        metadata={"state": "RUNNING", "verb": "DELETE"}, details={"PreconditionFailure"},
    ),
    Reason.ILLEGAL_STATE: Case(
        "FAILED_PRECONDITION", "ResumeResource", {"id": "web"}, running_container,
        metadata={"state": "RUNNING", "verb": "RESUME"}, details={"PreconditionFailure"},
    ),
    Reason.HAS_SNAPSHOTS: Case(
        "FAILED_PRECONDITION", "DeleteResource", {"id": "vm"}, domain_with_snapshot,
        metadata={"name": "vm", "snapshots": "1"},
    ),
    Reason.HAS_SAVED_STATE: Case(
        "FAILED_PRECONDITION", "DeleteResource", {"id": "vm"}, saved_domain,
        metadata={"name": "vm"},
    ),
    Reason.DELETION_PROTECTED: Case(
        "FAILED_PRECONDITION", "DeleteResource", {"id": "vm", "force": True}, protected_domain,
        metadata={"name": "vm", "verb": "DELETE"},
    ),
    Reason.IN_USE: Case(
        "FAILED_PRECONDITION", "DeleteImage", {"image": IMAGE}, stopped_container,
        metadata={"image": IMAGE, "used_by": "web"},
    ),
    Reason.ALREADY_EXISTS: Case(
        "ALREADY_EXISTS", "CreateContainer", {"spec": {"image": IMAGE, "name": "web"}},
        running_container, metadata={"container": "web"},
    ),
    Reason.BAD_CREDENTIALS: Case(
        "UNAUTHENTICATED", "CreateToken", {"username": "ann", "password": "wrong"}
    ),
    Reason.SCOPE_MISSING: Case(
        "PERMISSION_DENIED", "CreateToken",
        {"username": "bob", "password": "correct horse", "scopes": ["SCOPE_ADVANCED"]},
        metadata={"required_scope": "advanced", "scopes": "basic"},
    ),
    Reason.REGISTRY_DENIED: Case(
        "FAILED_PRECONDITION", "LoginRegistry",
        {"registry": "reg:5000", "username": "u", "password": "wrong"},
        metadata={"registry": "reg:5000"},
    ),
    Reason.REGISTRY_UNREACHABLE: Case(
        "UNAVAILABLE", "LoginRegistry",
        {"registry": "down:5000", "username": "u", "password": "p"},
        metadata={"registry": "down:5000"}, details={"RetryInfo"},
    ),
    Reason.HOST_EXHAUSTED: Case(
        "RESOURCE_EXHAUSTED", "CreateVolume",
        {"spec": {"name": "big", "capacity_bytes": 2**41, "preallocate": True}},
        metadata={"engine": "memory"},
    ),
}  # fmt: skip
ELSEWHERE = {
    *(reason for reason in Reason if reason.startswith("TOKEN_")),  # test_authorization
    Reason.ENGINE_UNREACHABLE, Reason.ENGINE_TIMED_OUT,  # test_engines, test_concurrency
    Reason.ACTIVITY_IN_PROGRESS,  # test_concurrency
    Reason.SHUTTING_DOWN,  # test_shutdown
    Reason.TOO_MANY_ATTEMPTS, Reason.INTERNAL,  # below
    Reason.TOO_MANY_STREAMS,  # test_public_streams
    Reason.POLICY_DENIED, Reason.ETAG_MISMATCH, Reason.REVISION_COMPACTED,  # test_examples
    Reason.DATABASE_UNREACHABLE,  # test_examples
    Reason.AUDIT_UNAVAILABLE,  # test_examples
    Reason.QUOTA_EXCEEDED,  # test_examples
    Reason.CONNECTION_FAILED,  # test_ports
    Reason.CONSOLE_TAKEN, Reason.READER_TOO_SLOW,  # test_attach
    Reason.ACCESS_MISSING,  # test_examples
    Reason.TOO_MANY_CALLS,  # test_user_limiter
    Reason.CONDITION_IMPOSSIBLE, Reason.WAIT_TIMED_OUT,  # test_waits
    Reason.SPEC_INCOMPLETE,  # integration/daemon/test_recreate
    Reason.INTERRUPTED, Reason.REQUEST_NOT_FOUND,  # test_request_ids
    Reason.REQUEST_CANCELLED, Reason.TOO_MANY_REQUESTS,  # test_request_ids
}  # fmt: skip


def test_cases_cover_every_reason():
    assert set(CASES) | ELSEWHERE == set(Reason)


@pytest.mark.parametrize("reason", CASES)
async def test_error_of_every_reason_has_its_code_and_details(daemon, reason):
    case = CASES[reason]
    await case.before(daemon)

    refused = await refusal(daemon.call(case.call, **case.request))

    assert (refused.code, refused.reason) == (case.code, reason)
    assert refused.domain == "proa.dev"
    assert refused.metadata.items() >= case.metadata.items()
    assert set(refused.details) == {"ErrorInfo", "RequestInfo", *case.details}
    assert refused.message


async def test_error_not_found_describes_the_resource(daemon):
    refused = await refusal(daemon.call("GetResource", id="nope"))

    info = refused.details["ResourceInfo"]
    assert (info.resource_type, info.resource_name) == ("resource", "nope")


async def test_error_failed_precondition_names_its_subject(daemon):
    await daemon.container("web")

    refused = await refusal(daemon.call("StartResource", id="web"))

    (violation,) = refused.details["PreconditionFailure"].violations
    assert (violation.type, violation.subject) == ("RESOURCE_ALREADY_RUNNING", "web")


async def test_error_already_exists_names_the_existing_one(daemon):
    existing = await daemon.container("web")

    refused = await refusal(daemon.call("CreateContainer", spec={"image": IMAGE, "name": "web"}))

    assert refused.metadata["existing_id"] == existing.id


async def test_error_invalid_argument_names_every_field_by_its_path(daemon):
    spec = {
        "name": "-",
        "ports": [{"container_port": 80}, {"container_port": 70000}],
        "mounts": [{"target": "relative", "bind": {"source": "/a/../b"}}],
        "resources": {"cpus": -1},
    }

    refused = await refusal(daemon.call("CreateContainer", spec=spec))

    assert set(refused.fields) == {
        "spec.image",
        "spec.name",
        "spec.ports[1].container_port",
        "spec.mounts[0].target",
        "spec.mounts[0].bind.source",
        "spec.resources.cpus",
    }
    assert "spec.image: is required" in refused.message


async def test_error_too_many_logins_has_a_retry_delay(daemon):
    for _ in range(6):
        await refusal(daemon.call("CreateToken", username="ann", password="wrong"))

    refused = await refusal(daemon.call("CreateToken", username="ann", password="correct horse"))

    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS")
    assert 0 < refused.retry_after <= 1


class Failing(MemoryDriver):
    """Raises `error` where it should pause."""

    error: Exception

    async def pause(self, id, **options):
        raise self.error


@pytest.fixture
async def failing(serve):
    driver = Failing()
    daemon = await serve(("local", driver))
    await daemon.container("web")
    return daemon


async def test_error_engine_conflict_has_a_retry_delay(failing):
    failing.driver.error = EngineConflictError(
        "docker", "busy", retry_after=EngineUnreachableError("docker").retry_after
    )

    refused = await refusal(failing.call("PauseResource", id="web"))

    assert (refused.code, refused.reason) == ("ABORTED", "ENGINE_CONFLICT")
    assert refused.retry_after == 2


async def test_error_internal_shows_the_correlation_id_and_the_log_the_cause(failing, capfd):
    failing.driver.error = RuntimeError("the secret of the engine")

    refused = await refusal(
        failing.call("PauseResource", id="web", metadata=[("x-correlation-id", "mine-42")])
    )

    assert (refused.code, refused.reason) == ("INTERNAL", "INTERNAL")
    assert refused.metadata == {"correlation_id": "mine-42"}
    assert "secret" not in repr(refused)
    log = "".join(capfd.readouterr())
    assert "the secret of the engine" in log
    assert "mine-42" in log


async def test_error_own_timeout_is_not_the_callers_deadline(failing):
    failing.driver.error = TimeoutError("the secret of the engine")

    refused = await refusal(failing.call("PauseResource", id="web"))

    assert (refused.code, refused.reason) == ("INTERNAL", "INTERNAL")


async def test_error_internal_of_a_stream_shows_the_correlation_id(serve):
    class FailingPull(MemoryDriver):
        async def pull_image(self, name, **options):
            async for event in super().pull_image(name, **options):
                yield event
                raise RuntimeError("the secret of the engine")

    daemon = await serve(("local", FailingPull()))
    call = daemon.call("PullImage", image="a:1")
    await call.read()

    refused = await refusal(call.read())

    assert (refused.code, refused.reason) == ("INTERNAL", "INTERNAL")
    assert "secret" not in repr(refused)


@pytest.mark.parametrize("own", ["mine-42", "A.b_c-9", "x" * 64])
async def test_correlation_id_of_the_caller_is_kept(daemon, own):
    refused = await refusal(
        daemon.call("GetResource", id="nope", metadata=[("x-correlation-id", own)])
    )

    assert refused.details["RequestInfo"].request_id == own


@pytest.mark.parametrize("own", ["", "x" * 65, "a b", "<script>"])
async def test_correlation_id_that_is_invalid_is_replaced(daemon, own):
    refused = await refusal(
        daemon.call("GetResource", id="nope", metadata=[("x-correlation-id", own)])
    )

    assert len(refused.details["RequestInfo"].request_id) == 32


async def test_call_unknown_method_is_unimplemented(daemon):
    call = daemon.channel.unary_unary("/proa.v1.ResourceService/Explode")

    assert (await refusal(call(b""))).code == "UNIMPLEMENTED"


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"\x0a\xff\x01"], ids=["tag", "length"])
async def test_call_bytes_that_are_no_message_is_invalid_argument(daemon, body):
    for rpc in RPCS.values():
        call = daemon.send(rpc, body, token=daemon.token(*ALL, username="eve"))

        refused = await refusal(call.read() if rpc.streams else call)

        assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT"), rpc


async def test_call_malformed_message_without_token_is_unauthenticated(daemon):
    refused = await refusal(daemon.send(RPCS["GetResource"], b"\xff"))

    assert refused.reason == "TOKEN_MISSING"
