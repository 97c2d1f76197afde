import json

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import MethodOptions

from proa import contract

METHODS = list(contract.methods())


def test_methods_yields_the_rpcs_of_all_services():
    pool = descriptor_pool.Default()
    services = {
        service.full_name
        for name in (
            "audit",
            "auth",
            "console",
            "container",
            "domain",
            "file",
            "host",
            "image",
            "operation",
            "resource",
            "server",
            "snapshot",
            "volume",
        )
        for service in pool.FindFileByName(
            f"proa/v1/{name}_service.proto"
        ).services_by_name.values()
    }
    assert {m.containing_service.full_name for m in METHODS} == services


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.full_name)
def test_service_config_without_request_ids_retries_repeatable_rpcs_alone(method):
    config = json.loads(contract.service_config(request_ids=False))["methodConfig"]
    named = {(n["service"], n["method"]) for entry in config for n in entry["name"]}
    level = method.GetOptions().idempotency_level
    retried = (method.containing_service.full_name, method.name) in named
    assert retried == (level != MethodOptions.IDEMPOTENCY_UNKNOWN)


def test_service_config_bounds_retries():
    (entry,) = json.loads(contract.service_config(request_ids=True))["methodConfig"]
    policy = entry["retryPolicy"]
    assert policy["maxAttempts"] == 4
    assert policy["retryableStatusCodes"] == ["UNAVAILABLE"]
    assert policy["maxBackoff"] == "2s"


def test_needs_token_of_all_rpcs_but_those_that_give_one_is_true():
    public = {contract.path(m) for m in METHODS if not contract.needs_token(m)}
    assert public == {f"/proa.v1.AuthService/{name}" for name in ("CreateToken", "RefreshToken")}


def test_carries_credentials_finds_the_rpcs_with_a_password_or_the_like():
    found = {m.name for m in METHODS if contract.carries_credentials(m)}
    assert found == {"CreateToken", "RefreshToken", "LoginRegistry"}


def test_journalled_are_the_changing_rpcs_with_an_id():
    found = {path.rpartition("/")[2] for path in contract.JOURNALLED}
    assert {"CreateContainer", "PullImage", "StopResource", "DeleteVolume"} <= found
    assert not found & {"CreateToken", "RevokeToken", "LoginRegistry", "CancelRequest"}
    assert not found & {"GetRequest", "GetResource", "WatchResources"}
