"""libvirt objects with scripted answers, such as only a broken libvirt would give.

The bindings raise UnicodeDecodeError or SystemError where a text is no UTF-8.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Any, cast

import libvirt

from answers.mutate import odd_json, odd_xml

_OF_BINDINGS: tuple[Callable[[], Exception], ...] = (
    lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    lambda: SystemError("returned a result with an exception set"),
    lambda: libvirt.libvirtError("internal error"),
)
# A name is at hand: libvirtd is not asked.
_NO_UTF8 = _OF_BINDINGS[:2]
# Which the bindings check: no other type can come.
_NUMBERS = (0, 1, -1, 2**31, 2**32, 2**63, 2**64 - 1)


class ScriptedDomain:
    """A domain, its connection, and its snapshots.

    Args:
        answers: what was recorded of a domain.
        random: which of it is changed, and how.
    """

    def __init__(self, answers: Mapping[str, Any], random: Random) -> None:
        self.answers = answers
        self._random = random
        self.id = str(answers["id"])
        # Repeated reads return the same value.
        self._cache: dict[str, Any] = {}

    def UUIDString(self) -> str:
        return self.id

    def connect(self) -> "ScriptedDomain":
        return self

    def isAlive(self) -> int:
        return 1

    def lookupByUUIDString(self, _id: str) -> "ScriptedDomain":
        return self

    def listAllDomains(self, _flags: int = 0) -> list["ScriptedDomain"]:
        return [self]

    def name(self) -> str:
        return str(self.answer("name", lambda: self.answers["name"], _NO_UTF8))

    def XMLDesc(self, _flags: int = 0) -> str:
        return str(self.answer("xml", lambda: odd_xml(self.answers["xml"], self._random)))

    def metadata(self, *_: object) -> str:
        return str(self.answer("metadata", lambda: odd_xml(self.answers["metadata"], self._random)))

    def state(self) -> list[int]:
        return self.numbers("state")

    def info(self) -> list[int]:
        return self.numbers("info")

    def autostart(self) -> int:
        return self.numbers("autostart")[0]

    def isPersistent(self) -> int:
        return self.numbers("persistent")[0]

    def isActive(self) -> int:
        return int(self.answers["active"])

    def hasManagedSaveImage(self) -> int:
        return int(self.answers["saved"])

    def snapshotNum(self) -> int:
        return self.numbers("number")[0]

    def interfaceAddresses(self, _source: int) -> Any:
        return self.answer("leases", lambda: odd_json(LEASES, self._random))

    def blockInfo(self, _target: str) -> list[int]:
        return self.numbers("block")

    def getStats(self) -> Any:
        return self.answer("stats", lambda: odd_json(self.answers["stats"], self._random), ())

    def getAllDomainStats(
        self, _groups: int, _flags: int = 0
    ) -> list[tuple["ScriptedDomain", Any]]:
        return [(self, self.getStats())]

    def domainListGetStats(self, *_: object) -> list[tuple["ScriptedDomain", Any]]:
        return [(self, self.getStats())]

    def storageVolLookupByPath(self, _path: str) -> "_Volume":
        if self._random.random() < 0.3:
            failure = self._random.choice(_OF_BINDINGS)()
            raise failure
        return _Volume(self)

    def storagePoolLookupByName(self, _name: str) -> "ScriptedDomain":
        return self

    def storageVolLookupByName(self, _name: str) -> "_Volume":
        return self.storageVolLookupByPath("")

    def listAllSnapshots(self, _flags: int = 0) -> list["_Snapshot"]:
        return [_Snapshot(self, xml) for xml in self.answers["snapshots"]]

    def snapshotCurrent(self) -> "_Snapshot":
        return self.listAllSnapshots()[-1] if self.answers["snapshots"] else _Snapshot(self, "")

    def snapshotLookupByName(self, _name: str) -> "_Snapshot":
        return self.snapshotCurrent()

    def odd(self, xml: str) -> str:
        return odd_xml(xml, self._random) if xml else xml

    def prepare(self) -> int:
        """Think of all answers before the first is given, and return how many there are."""
        snapshots = [snapshot.getXMLDesc for snapshot in self.listAllSnapshots()]
        for ask in (self.name, self.XMLDesc, self.metadata, self.getStats, *snapshots):
            with suppress(Exception):
                ask()
        return len(self._cache)

    def answer(
        self,
        what: str,
        ordinary: Callable[[], Any],
        failures: Sequence[Callable[[], Exception]] = _OF_BINDINGS,
    ) -> Any:
        if what not in self._cache:
            fails = bool(failures) and self._random.random() < 0.04
            self._cache[what] = self._random.choice(failures)() if fails else ordinary()
        answer = self._cache[what]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def numbers(self, what: str) -> list[int]:
        def ordinary() -> list[int]:
            numbers = self.answers.get(what, [1, 2, 3])
            numbers = list(numbers) if isinstance(numbers, list) else [numbers]
            if self._random.random() < 0.3:
                numbers[self._random.randrange(len(numbers))] = self._random.choice(_NUMBERS)
            return numbers

        return cast("list[int]", self.answer(what, ordinary, _OF_BINDINGS[-1:]))


class _Volume:
    def __init__(self, domain: ScriptedDomain) -> None:
        self._domain = domain

    def info(self) -> list[int]:
        return self._domain.numbers("volume")

    def name(self) -> str:
        return str(self._domain.answer("volume name", lambda: "v", _NO_UTF8))

    def path(self) -> str:
        return str(self._domain.answer("path", lambda: "/v"))

    def storagePoolLookupByVolume(self) -> ScriptedDomain:
        return self._domain


class _Snapshot:
    def __init__(self, domain: ScriptedDomain, xml: str) -> None:
        self._domain = domain
        self._xml = xml

    def getXMLDesc(self) -> str:
        return str(self._domain.answer(self._xml, lambda: self._domain.odd(self._xml)))

    def getName(self) -> str:
        return "one"


LEASES = {
    "vnet0": {
        "addrs": [{"addr": "192.0.2.7", "prefix": 24, "type": 0}],
        "hwaddr": "52:54:00:00:00:01",
    }
}
