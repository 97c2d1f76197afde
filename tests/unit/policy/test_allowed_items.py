"""Each item of the allowlist of domain XML has a document: see `hostile_xml.allowed_items`."""

import pytest

from hostile_xml.allowed_items import ALLOWED, UNPROVEN, Allowed
from hostile_xml.host import FACTS
from hostile_xml.items import Items
from proad.policy import Profile
from proad.policy.domains.xml import judge_xml


def filled(allowed: Allowed) -> str:
    return allowed.filled("web", "default", "/var/lib/libvirt/images", "/dev/vg/web")


def test_items_of_allowlist_have_documents_or_reasons():
    items = Items()
    shown = frozenset[str]().union(*(items.in_document(filled(each)) for each in ALLOWED))

    assert items.all - shown == UNPROVEN.keys()


@pytest.mark.parametrize("allowed", ALLOWED, ids=lambda each: each.id)
def test_judge_xml_of_items_is_allowed(allowed: Allowed):
    denied, _xml = judge_xml(filled(allowed), Profile(), FACTS)

    assert denied == []
