"""HTTP/2 of a client that breaks the rules: frames written by hand."""

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
    """Return a message in gRPC's framing."""
    return b"\0" + struct.pack(">I", len(body)) + body


def _text(text):
    """Return a string in HPACK, whose length has a prefix of 7 bits."""
    data, length = text.encode(), bytearray()
    rest = len(data) - 127
    if rest < 0:
        return bytes([len(data)]) + data
    while rest >= 128:
        length.append(rest % 128 + 128)
        rest //= 128
    return bytes([127, *length, rest]) + data


def headers(path, **others):
    """Return the header block that begins a call, without indexing."""
    sent = {":path": path, ":authority": "localhost", "content-type": "application/grpc"}
    sent |= {"te": "trailers"} | {name.replace("_", "-"): value for name, value in others.items()}
    literals = (b"\0" + _text(name) + _text(value) for name, value in sent.items())
    return b"\x83\x86" + b"".join(literals)  # POST and http, of the static table


class Connection:
    """A TCP connection on which frames are sent and read."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, address, *, preface=True, source=None):
        """Connect, from another address of this host where `source` names one."""
        host, _, port = address.rpartition(":")
        local = None if source is None else (source, 0)
        connection = cls(*await asyncio.open_connection(host, int(port), local_addr=local))
        if preface:
            connection.send(PREFACE + frame(SETTINGS, 0, 0))
        return connection

    def send(self, data):
        self._writer.write(data)

    def begin(self, path, *, stream=1, **others):
        """Send the headers of a call."""
        self.send(frame(HEADERS, END_HEADERS, stream, headers(path, **others)))

    async def next_frame(self):
        """Return kind, flags, stream and payload of the next frame; None if the server closed."""
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

    async def heard(self):
        """Wait until the server has read everything sent; drop the frames that it sends until then."""
        self.send(frame(PING, 0, 0, b"heard it"))
        while (got := await self.next_frame()) is not None:
            kind, flags, _stream, _payload = got
            if kind == PING and flags & ACK:
                return
        raise AssertionError("the server closed the connection")

    async def ended(self, stream=1):
        """Wait for the end of a stream and return its last header block, undecoded."""
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


class Windows:
    """Sends the data of many streams within the server's flow-control windows."""

    def __init__(self, connection):
        self._connection = connection
        self._initial = self._room = 65_535
        self._rooms = {}
        self._left = {}
        self.sent = 0

    def send(self, stream, data):
        """Send all data of a stream: as far as the window allows, and the rest when it opens."""
        self._rooms.setdefault(stream, self._initial)
        self._left[stream] = memoryview(data)
        self._send_on()

    def hear(self, kind, flags, stream, payload):
        """Update the windows from a frame."""
        if kind == WINDOW_UPDATE and stream:
            self._rooms[stream] += int.from_bytes(payload, "big")
        elif kind == WINDOW_UPDATE:
            self._room += int.from_bytes(payload, "big")
        elif kind == SETTINGS and not flags & ACK:
            settings = {
                payload[n : n + 2]: payload[n + 2 : n + 6] for n in range(0, len(payload), 6)
            }
            initial = int.from_bytes(settings.get(INITIAL_WINDOW, b""), "big") or self._initial
            self._rooms = {s: room + initial - self._initial for s, room in self._rooms.items()}
            self._initial = initial
        elif kind == RST_STREAM or flags & END_STREAM:
            self._left.pop(stream, None)
        self._send_on()

    def _send_on(self):
        for stream in list(self._left):
            while room := max(min(self._rooms[stream], self._room, MOST_OF_A_FRAME), 0):
                data, self._left[stream] = self._left[stream][:room], self._left[stream][room:]
                if not data:
                    del self._left[stream]
                    break
                self._connection.send(frame(DATA, 0, stream, data))
                self._rooms[stream] -= len(data)
                self._room -= len(data)
                self.sent += len(data)
