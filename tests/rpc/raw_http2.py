"""HTTP/2 as a client writes it who does not keep to the rules: frames by hand."""

import asyncio
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
INITIAL_WINDOW = b"\0\4"  # the number of this setting
MOST_OF_A_FRAME = 16_384
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1


def frame(kind, flags, stream, payload=b""):
    head = struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream)
    return head + payload


def message(body):
    """A message as gRPC has it in the data of a stream."""
    return b"\0" + struct.pack(">I", len(body)) + body


def _text(text):
    """A string of HPACK; the length is a whole number with a prefix of 7 bits."""
    data, length = text.encode(), bytearray()
    rest = len(data) - 127
    if rest < 0:
        return bytes([len(data)]) + data
    while rest >= 128:
        length.append(rest % 128 + 128)
        rest //= 128
    return bytes([127, *length, rest]) + data


def headers(path, **others):
    """The block of headers that begins a call, nothing of it to be remembered."""
    sent = {":path": path, ":authority": "localhost", "content-type": "application/grpc"}
    sent |= {"te": "trailers"} | {name.replace("_", "-"): value for name, value in others.items()}
    literals = (b"\0" + _text(name) + _text(value) for name, value in sent.items())
    return b"\x83\x86" + b"".join(literals)  # POST and http, of the static table


class Connection:
    """A TCP connection on which frames are sent and read."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, address, *, preface=True):
        host, _, port = address.rpartition(":")
        connection = cls(*await asyncio.open_connection(host, int(port)))
        if preface:
            connection.send(PREFACE + frame(SETTINGS, 0, 0))
        return connection

    def send(self, data):
        self._writer.write(data)

    def begin(self, path, *, stream=1, **others):
        """Send the headers of a call."""
        self.send(frame(HEADERS, END_HEADERS, stream, headers(path, **others)))

    async def next_frame(self):
        """Kind, flags, stream and payload of the next frame; None: the server closed."""
        try:
            head = await self._reader.readexactly(9)
            payload = await self._reader.readexactly(int.from_bytes(head[:3], "big"))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        if kind == SETTINGS and not flags & ACK:
            self.send(frame(SETTINGS, ACK, 0))
        if kind == PING and not flags & ACK:
            self.send(frame(PING, ACK, 0, payload))
        return kind, flags, stream, payload

    async def ended(self, stream=1):
        """Wait for the end of a stream and give its last block of headers, not unpacked."""
        while (got := await self.next_frame()) is not None:
            kind, flags, number, payload = got
            if number == stream and kind == RST_STREAM:
                return payload
            if number == stream and flags & END_STREAM:
                return payload
        raise AssertionError("the server closed the connection")

    async def closed(self):
        """Wait until the server closes the connection."""
        while await self.next_frame() is not None:
            pass
        self.close()

    def close(self):
        self._writer.close()
