"""XML through one hardened parser."""

import re

from lxml import etree

# What no text or attribute of XML can hold, or not as it is.
UNWRITABLE = re.compile("[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def parse(text: str) -> etree._Element:
    """Parse a document: no entities, no DTD, no network, no trees without limits.

    Raises:
        etree.XMLSyntaxError: it is not well-formed.
        ValueError: it carries an encoding declaration that a text cannot keep.
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
    """Give a tree as text, indented."""
    etree.indent(root)
    return etree.tostring(root, encoding="unicode")
