"""Rules for every RPC of the contract."""

from collections import Counter

import pytest

from proa import v1
from rpc.daemon import contract_files

METHODS = [
    method
    for file in contract_files()
    for service in file.services_by_name.values()
    for method in service.methods
]
SCOPES = {v1.SCOPE_PUBLIC, v1.SCOPE_AUTHENTICATED, v1.SCOPE_BASIC, v1.SCOPE_ADVANCED}


@pytest.fixture(params=METHODS, ids=lambda method: method.name)
def method(request):
    return request.param


def test_rpc_names_its_scope(method):
    assert method.GetOptions().Extensions[v1.required_scope] in SCOPES


def test_read_rpcs_need_basic_scope_alone(method):
    """GetDomainXml is an exception: the XML may contain an operator's secrets."""
    options = method.GetOptions()
    looks = options.idempotency_level == options.NO_SIDE_EFFECTS
    scope = options.Extensions[v1.required_scope]

    assert looks == (scope == v1.SCOPE_BASIC) or method.name == "GetDomainXml"


def test_rpc_messages_are_named_after_it(method):
    assert method.input_type.name == f"{method.name}Request"
    assert method.output_type.name == f"{method.name}Response"
    assert not method.client_streaming


def test_rpc_names_are_unique():
    assert [name for name, n in Counter(m.name for m in METHODS).items() if n > 1] == []


def test_list_rpcs_have_pages(method):
    if method.name.startswith("List"):
        assert {"page_size", "page_token"} <= set(method.input_type.fields_by_name)
        assert "next_page_token" in method.output_type.fields_by_name
