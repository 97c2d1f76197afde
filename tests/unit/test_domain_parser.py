"""Domain XML from callers, parsed by two readers that must agree."""

import time
from typing import Any
from xml.dom import minidom

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from proad.domain_parser import DEPTH_LIMIT, NODES_LIMIT, parse_domain
from proad.errors import InvalidArgumentError
from proad.model.requests import XML_LIMIT

UUID = "6e1c4a3e-3b0e-4d57-9a1f-2f2a5a7f0c11"
PIECES = [
    "web",
    " ",
    "\n",
    "<!-- x -->",
    "<?x y?>",
    "<![CDATA[web]]>",
    "&#119;",
    "&amp;",
    "&x;",
    "<name>web</name>",
    f"<uuid>{UUID}</uuid>",
    f"<uuid>{UUID.upper()}</uuid>",
    "<name>",
    "</name>",
    "<uuid>",
    "</uuid>",
    UUID,
    "<x:name xmlns:x='urn:x'>other</x:name>",
    "<name xmlns='urn:x'>other</name>",
    "<name xml:lang='en'>web</name>",
    "<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='/etc/hostname' parse='text'/>",
    "<metadata><name>other</name></metadata>",
    "<domain><name>other</name></domain>",
]


def first_text(document: minidom.Document, tag: str) -> str:
    """Return what XPath's `string(./tag[1])` gives, as libvirt asks for it."""

    def texts(node: Any) -> str:
        if node.nodeType in {node.TEXT_NODE, node.CDATA_SECTION_NODE}:
            return str(node.data)
        return "".join(texts(child) for child in node.childNodes)

    root = document.documentElement
    assert root is not None
    found = [
        each
        for each in root.childNodes
        if each.nodeType == each.ELEMENT_NODE and (each.namespaceURI, each.localName) == (None, tag)
    ]
    return texts(found[0]) if found else ""


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_parse_domain_matches_second_reader(inside: str):
    try:
        domain = parse_domain(f"<domain>{inside}</domain>")
    except InvalidArgumentError as error:
        assert {violation.field for violation in error.violations} == {"xml"}  # noqa: PT017 - most are
        return
    document = minidom.parseString(etree.tostring(domain.root, encoding="unicode"))
    assert first_text(document, "name") == domain.name == "web" or set(domain.name) <= set("web")
    assert first_text(document, "name") == domain.name
    assert first_text(document, "uuid") == domain.id


@pytest.mark.parametrize(
    ("count", "taken"), [(NODES_LIMIT - 4, True), (NODES_LIMIT, False), (200_000, False)]
)
def test_parse_domain_beyond_node_limit_is_refused(count: int, *, taken: bool):
    xml = f"<domain><name>web</name><metadata>{'<a/>' * count}</metadata></domain>"
    assert len(xml) <= XML_LIMIT
    if taken:
        assert parse_domain(xml).name == "web"
        return
    with pytest.raises(InvalidArgumentError, match=f"more than {NODES_LIMIT} elements"):
        parse_domain(xml)


@pytest.mark.parametrize(("depth", "taken"), [(DEPTH_LIMIT - 1, True), (DEPTH_LIMIT, False)])
def test_parse_domain_beyond_depth_limit_is_refused(depth: int, *, taken: bool):
    xml = f"<domain><name>web</name>{'<a>' * depth}{'</a>' * depth}</domain>"
    if taken:
        assert parse_domain(xml).name == "web"
        return
    with pytest.raises(InvalidArgumentError, match=f"more than {DEPTH_LIMIT} deep"):
        parse_domain(xml)


def test_parse_domain_with_entities_is_refused_cheaply():
    bomb = "".join(
        f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" if n else "<!ENTITY a0 'x'>" for n in range(12)
    )
    began = time.thread_time()
    with pytest.raises(InvalidArgumentError):
        parse_domain(f"<!DOCTYPE domain [{bomb}]><domain><name>&a11;</name></domain>")
    assert time.thread_time() - began < 1


@pytest.mark.parametrize("encoding", ["UTF-16", "ISO-8859-1", "UTF-7", "nonsense"])
def test_parse_domain_ignores_declared_encoding(encoding: str):
    domain = parse_domain(
        f"<?xml version='1.0' encoding='{encoding}'?>"
        "<domain><name>web</name><title>Grüße +AGE-</title></domain>"
    )
    assert domain.root.findtext("title") == "Grüße +AGE-"


BETWEEN = "<domain>{0}<name>web</name>{0}<os>{0}<type>hvm</type>{0}</os>{0}</domain>"


@pytest.mark.parametrize("text", ["\u200b", "\ufeff", "\u00a0", "\u2003\u2028", " \n\t\u2060 "])
def test_read_domain_removes_invisible_text_between_elements(text: str):
    root = parse_domain(BETWEEN.format(text)).root

    assert "".join(root.itertext()) == f"web{root.findtext('uuid')}hvm"


@pytest.mark.parametrize("at", ["<name>web</name>{0}", "{0}<name>web</name>"])
def test_read_domain_with_text_between_elements_names_it(at: str):
    with pytest.raises(InvalidArgumentError, match=r"the text 'stray' .* after line 2"):
        parse_domain(f"\n<domain>{at.format(' stray ')}</domain>")


def test_read_domain_keeps_texts_in_metadata():
    inner = "<x:a xmlns:x='urn:x'>one<x:b/>two\u200b</x:a>"
    root = parse_domain(f"<domain><name>web</name><metadata>{inner}</metadata></domain>").root

    metadata = root.find("metadata")
    assert metadata is not None
    assert "".join(metadata.itertext()) == "onetwo\u200b"
