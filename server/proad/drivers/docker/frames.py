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
        self._begins = False

    def take(self, data: bytes) -> Iterator[CommandOutput]:
        """Yield what a piece of the stream has; of frames of one output in a row, one piece."""
        joined, of_stderr = bytearray(), False
        for is_stderr, _, piece in self.frames(data):
            if joined and is_stderr != of_stderr:
                yield CommandOutput(bytes(joined), of_stderr)
                joined.clear()
            of_stderr = is_stderr
            joined += piece
        if joined:
            yield CommandOutput(bytes(joined), of_stderr)

    def frames(self, data: bytes) -> Iterator[tuple[bool, bool, memoryview]]:
        """Yield of each frame in a piece of the stream its bytes there.

        Before them, whether they were written to the standard error, and whether they begin the frame.
        """
        view = memoryview(data)
        while view:
            if not self._left:
                missing = _HEADER - len(self._header)
                self._header += view[:missing]
                view = view[missing:]
                if len(self._header) < _HEADER:
                    break
                self._is_stderr = self._header[0] == _STDERR
                self._left = int.from_bytes(self._header[4:])
                self._header, self._begins = b"", True
                continue
            piece = view[: self._left]
            self._left -= len(piece)
            view = view[len(piece) :]
            begins, self._begins = self._begins, False
            yield self._is_stderr, begins, piece
