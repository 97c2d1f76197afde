"""Rules for every RPC of the contract."""

from collections import Counter

import pytest

from proa import v1
from proad.rpc.methods import SCOPES
from rpc.daemon import contract_files

METHODS = [
    method
    for file in contract_files()
    for service in file.services_by_name.values()
    for method in service.methods
]


@pytest.fixture(params=METHODS, ids=lambda method: method.name)
def method(request):
    return request.param


def test_rpc_names_exactly_one_kind_of_access(method):
    access = method.GetOptions().Extensions[v1.access]

    assert [access.public, access.authenticated, bool(access.scopes)].count(True) == 1
    assert set(access.scopes) <= set(SCOPES)


def test_read_rpcs_need_basic_scope_alone(method):
    """GetDomainXml is an exception: the XML may contain an operator's secrets.

    ListEntries is another one: it tells what others do. Who looks at files is inside a resource.
    """
    options = method.GetOptions()
    looks = options.idempotency_level == options.NO_SIDE_EFFECTS
    access = options.Extensions[v1.access]
    if access.scopes and method.name not in {
        "GetDomainXml",
        "ListEntries",
        "ListFiles",
        "StatFile",
    }:
        assert looks == (list(access.scopes) == [v1.SCOPE_BASIC])


def test_changing_unary_rpc_has_a_request_id_or_no_journal(method):
    options = method.GetOptions()
    fields = method.input_type.fields_by_name
    if method.client_streaming:  # a stream is no call that could be repeated
        assert options.Extensions[v1.journal] == v1.JOURNAL_NONE
    kept = options.Extensions[v1.journal] != v1.JOURNAL_NONE
    changes = options.idempotency_level != options.NO_SIDE_EFFECTS

    assert ({"request_id", "validate_only"} <= set(fields)) == (changes and kept)


def test_rpc_that_always_has_a_request_id_is_a_changing_unary_one(method):
    options = method.GetOptions()
    if options.Extensions[v1.journal] == v1.JOURNAL_ALWAYS:
        assert options.idempotency_level != options.NO_SIDE_EFFECTS
        assert not method.server_streaming


def test_rpc_messages_are_named_after_it(method):
    assert method.input_type.name == f"{method.name}Request"
    assert method.output_type.name == f"{method.name}Response"


def test_rpc_names_are_unique():
    assert [name for name, n in Counter(m.name for m in METHODS).items() if n > 1] == []


def test_list_rpcs_have_pages(method):
    if method.name.startswith("List"):
        assert {"page_size", "page_token"} <= set(method.input_type.fields_by_name)
        assert "next_page_token" in method.output_type.fields_by_name
