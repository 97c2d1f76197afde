"""Two outputs in one stream, as Docker sends them where there is no terminal."""

from collections.abc import Iterator

from proad.model import CommandOutput

# A byte for the output, three of zeros, and four for the length of what follows.
# https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach
_HEADER = 8
_STDERR = 2


class Frames:
    """Takes the stream apart again, wherever its pieces were cut."""

    def __init__(self) -> None:
        self._header = b""
        self._left = 0
        self._is_stderr = False

    def take(self, data: bytes) -> Iterator[CommandOutput]:
        """Yield what a piece of the stream has; of frames of one output in a row, one piece."""
        view, joined, of_stderr = memoryview(data), bytearray(), False
        while view:
            if not self._left:
                missing = _HEADER - len(self._header)
                self._header += view[:missing]
                view = view[missing:]
                if len(self._header) < _HEADER:
                    break
                self._is_stderr = self._header[0] == _STDERR
                self._left = int.from_bytes(self._header[4:])
                self._header = b""
                continue
            if joined and self._is_stderr != of_stderr:
                yield CommandOutput(bytes(joined), of_stderr)
                joined.clear()
            of_stderr = self._is_stderr
            piece = view[: self._left]
            joined += piece
            self._left -= len(piece)
            view = view[len(piece) :]
        if joined:
            yield CommandOutput(bytes(joined), of_stderr)
