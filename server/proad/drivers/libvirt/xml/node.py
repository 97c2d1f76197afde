"""Tolerant access to libvirt's XML; see `tolerant`."""

from collections.abc import Iterator

from lxml import etree

from proad.drivers.libvirt.errors import ENGINE
from proad.drivers.libvirt.xml.parser import parse
from proad.drivers.tolerant import Omissions, Value


class Node:
    """An element that may be absent, with absent attributes and texts then.

    Args:
        element: the element; None: absent.
        omissions: records unreadable parts.
        about: id of the domain that the document is about.
        path: place of the element in the document.
    """

    __slots__ = ("_about", "_element", "_omissions", "_path")

    def __init__(
        self,
        element: etree._Element | None,
        omissions: Omissions | None = None,
        about: str = "",
        path: str = "",
    ) -> None:
        self._element = element
        self._omissions = omissions or Omissions(ENGINE)
        self._about = about
        self._path = path

    @classmethod
    def of(cls, xml: str, omissions: Omissions | None = None, about: str = "") -> "Node":
        """Parse a document; the node is absent if the text is no XML."""
        omissions = omissions or Omissions(ENGINE)
        root = omissions.attempt(about, "XML", lambda: parse(xml) if xml else None, None)
        return cls(root, omissions, about)

    def __bool__(self) -> bool:
        """Return whether the element is present."""
        return self._element is not None

    @property
    def element(self) -> etree._Element | None:
        """The element; None if absent."""
        return self._element

    @property
    def tag(self) -> str:
        """Name of the element; empty if absent."""
        return "" if self._element is None else str(self._element.tag)

    def first(self, path: str) -> "Node":
        """Return the first element at a path below this one."""
        found = None if self._element is None else self._element.find(path)
        return self._child(found, path)

    def each(self, path: str) -> "Iterator[Node]":
        """Return all elements at a path below this one."""
        for found in () if self._element is None else self._element.iterfind(path):
            yield self._child(found, path)

    def attribute(self, name: str) -> Value:
        """Return an attribute."""
        raw = None if self._element is None else self._element.get(name)
        return Value(raw, self._omissions, self._about, f"{self._path}/@{name}")

    def content(self) -> Value:
        """Return the text of the element."""
        raw = None if self._element is None else self._element.text
        return Value(raw, self._omissions, self._about, self._path)

    def _child(self, found: etree._Element | None, path: str) -> "Node":
        path = f"{self._path}/{path}" if self._path else path
        return Node(found, self._omissions, self._about, path)
