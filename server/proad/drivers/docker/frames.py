"""Two outputs in one stream, as Docker sends them where there is no terminal."""

from collections.abc import Iterator

from proad.drivers.docker.errors import ENGINE
from proad.errors import EngineConflictError, EngineUnreachableError
from proad.model import CommandOutput

# A byte for the output, three of zeros, and four for the length of what follows.
# https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach
_HEADER = 8
_STDERR = 2
# No output, but why the engine cannot go on with it.
_FAULT = 3
_MOST_OF_A_FAULT = 4096


class Frames:
    """Takes the stream apart again, wherever its pieces were cut."""

    def __init__(self) -> None:
        self._header = b""
        self._left = 0
        self._output = 0
        self._begins = False
        self._fault = b""

    def take(self, data: bytes) -> Iterator[CommandOutput]:
        """Yield what a piece of the stream has; of frames of one output in a row, one piece.

        Raises:
            ProaError: as `frames` raises.
        """
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

        Raises:
            EngineConflictError: the engine cannot go on.
            EngineUnreachableError: it has no frames.
        """
        view = memoryview(data)
        while view:
            if not self._left:
                missing = _HEADER - len(self._header)
                self._header += view[:missing]
                view = view[missing:]
                if len(self._header) < _HEADER:
                    break
                self._begin()
                continue
            piece = view[: self._left]
            self._left -= len(piece)
            view = view[len(piece) :]
            if self._output == _FAULT:
                self._fault += piece[: _MOST_OF_A_FAULT - len(self._fault)]
                if not self._left:
                    raise EngineConflictError(ENGINE, self._fault.decode(errors="replace").strip())
                continue
            begins, self._begins = self._begins, False
            yield self._output == _STDERR, begins, piece

    def _begin(self) -> None:
        """Begin the frame of a header."""
        self._output = self._header[0]
        if self._output > _FAULT or any(self._header[1:4]):
            raise EngineUnreachableError(ENGINE, "what it sends are no frames of Docker's")
        self._left = int.from_bytes(self._header[4:])
        self._header, self._begins = b"", True

    def check_end(self) -> None:
        """Check that the stream may end here.

        Raises:
            EngineUnreachableError: it ends within a frame.
        """
        if self._left or self._header:
            raise EngineUnreachableError(ENGINE, "a stream has broken off within a frame")
