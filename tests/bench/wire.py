"""gRPC with as little client as can be: unary calls over one kept Unix socket.

The bare engines are asked by a client that does next to nothing. The ordinary client of
gRPC takes as long as a whole `docker inspect`; measured through it, the daemon would pay
for its caller. One call at a time; no TLS, no compression.
"""

import socket
import struct
from typing import Final

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_ACK = _END_STREAM = 0x1
_END_HEADERS = 0x4
_INITIAL_WINDOW_SIZE, _MAX_FRAME_SIZE = 0x4, 0x5
_WINDOW: Final = 1 << 30
_METHOD_POST, _SCHEME_HTTP = b"\x83", b"\x86"  # from the static table of HPACK


class WireError(Exception):
    """The daemon refused a call, or ended the connection."""


class Wire:
    """A connection to a gRPC server at a Unix socket.

    Args:
        path: of the socket.
        token: sent as bearer with every call; empty: none.
    """

    def __init__(self, path: str, token: str = "") -> None:
        self._token = token
        self._stream = -1
        self._buffer = b""
        self._headers: dict[str, bytes] = {}
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        self._socket.connect(path)
        settings = struct.pack(">HI", _INITIAL_WINDOW_SIZE, _WINDOW)
        settings += struct.pack(">HI", _MAX_FRAME_SIZE, 1 << 20)
        self._socket.sendall(
            _PREFACE
            + _frame(_SETTINGS, 0, 0, settings)
            + _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _WINDOW))
        )

    def call(self, method: str, request: bytes) -> bytes:
        """Call `method`, such as "/proa.v1.ResourceService/GetResource".

        Raises:
            WireError: it failed. A refusal has no message, and so is told from an answer.
        """
        self._stream += 2
        message = b"\0" + struct.pack(">I", len(request)) + request
        self._socket.sendall(
            _frame(_HEADERS, _END_HEADERS, self._stream, self._headers_of(method))
            + _frame(_DATA, _END_STREAM, self._stream, message)
        )
        answer = self._answer()
        if len(answer) < 5:
            raise WireError(f"{method} failed; the daemon's log says why")
        # Given back in one piece: what the server may send is never used up in between.
        self._socket.sendall(_frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", len(answer))))
        return answer[5:]

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def _answer(self) -> bytes:
        parts = []
        while True:
            kind, flags, stream, payload = self._next_frame()
            match kind:
                case _ if kind == _DATA:
                    parts.append(payload)
                case _ if kind == _SETTINGS and not flags & _ACK:
                    self._socket.sendall(_frame(_SETTINGS, _ACK, 0, b""))
                case _ if kind == _PING and not flags & _ACK:
                    self._socket.sendall(_frame(_PING, _ACK, 0, payload))
                case _ if kind in {_RST_STREAM, _GOAWAY}:
                    raise WireError(f"the server ended it: frame {kind}, {payload!r}")
            if kind in {_DATA, _HEADERS} and flags & _END_STREAM and stream == self._stream:
                return b"".join(parts)

    def _next_frame(self) -> tuple[int, int, int, bytes]:
        self._fill(9)
        head = self._buffer
        end = 9 + int.from_bytes(head[:3], "big")
        self._fill(end)
        payload, self._buffer = self._buffer[9:end], self._buffer[end:]
        return head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFFFFFF, payload

    def _fill(self, size: int) -> None:
        while len(self._buffer) < size:
            data = self._socket.recv(1 << 18)
            if not data:
                raise WireError("the server closed the connection")
            self._buffer += data

    def _headers_of(self, method: str) -> bytes:
        block = self._headers.get(method)
        if block is None:
            block = _METHOD_POST + _SCHEME_HTTP + _literal(":path", method)
            block += _literal(":authority", "localhost")
            block += _literal("content-type", "application/grpc") + _literal("te", "trailers")
            if self._token:
                block += _literal("authorization", f"Bearer {self._token}")
            self._headers[method] = block
        return block


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _literal(name: str, value: str) -> bytes:
    """A header as HPACK has it where neither side is to remember it."""
    return b"\0" + _string(name) + _string(value)


def _string(text: str) -> bytes:
    data = text.encode()
    rest = len(data) - 127
    if rest < 0:
        return bytes([len(data)]) + data
    length = bytearray([127])
    while rest >= 128:
        length.append(rest % 128 + 128)
        rest //= 128
    length.append(rest)
    return bytes(length) + data
