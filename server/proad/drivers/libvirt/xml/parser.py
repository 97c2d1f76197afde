"""XML parsing with one hardened parser, and serialisation."""

import re

from lxml import etree

# Characters that no text or attribute of XML can hold unchanged.
UNWRITABLE = re.compile("[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def parse(text: str) -> etree._Element:
    """Parse a document without entities, DTD, network access or huge trees.

    Raises:
        etree.XMLSyntaxError: the document is not well-formed.
        ValueError: the document declares an encoding that contradicts its text.
    """
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_blank_text=True,
    )
    return etree.fromstring(text.encode(), parser)


def serialise(root: etree._Element) -> str:
    """Return a tree as indented text."""
    etree.indent(root)
    return etree.tostring(root, encoding="unicode")
