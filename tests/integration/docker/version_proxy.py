"""An engine that speaks other versions of the API than the one behind it."""

import re
from pathlib import Path

from integration.docker.counting_proxy import CountingProxy
from proad.drivers.docker.http.api_version import ApiVersion

_ASKED = re.compile(rb"(?<= /v)([0-9.]+)(?=/\S* HTTP/1\.1\r\n)")
_NEWEST = re.compile(rb'(?<="ApiVersion":")[0-9.]+')
_OLDEST = re.compile(rb'(?<="MinAPIVersion":")[0-9.]+')
# No engine takes this: the one behind refuses it as it refuses any that it does not know.
_UNKNOWN = b"9.99"


class VersionProxy(CountingProxy):
    """Tells of the versions `oldest` to `newest`, and has the engine refuse all others.

    All versions have as many digits, so that no length changes.
    """

    def __init__(self, engine: Path, socket: Path, *, oldest: ApiVersion, newest: ApiVersion):
        super().__init__(engine, socket)
        self.oldest = oldest
        self.newest = newest
        self._real = _UNKNOWN

    def request(self, chunk: bytes) -> bytes:
        def translated(asked: re.Match[bytes]) -> bytes:
            version = ApiVersion.parse(asked[0].decode())
            assert version is not None
            return self._real if self.oldest <= version <= self.newest else _UNKNOWN

        return _ASKED.sub(translated, chunk)

    def answer(self, chunk: bytes) -> bytes:
        if b'"MinAPIVersion"' not in chunk:
            return chunk
        real = _NEWEST.findall(chunk)[-1]  # beside that of the components
        self._real = real
        return _OLDEST.sub(_same(self.oldest), _NEWEST.sub(_same(self.newest), chunk))


def _same(version: ApiVersion) -> bytes:
    text = str(version).encode()
    assert len(text) == len(_UNKNOWN)
    return text
