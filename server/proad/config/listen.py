"""Addresses to listen on: `host:port`, `[::1]:port`, `unix:/path`."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import PlainSerializer

# Size of sockaddr_un.sun_path, without the closing NUL.
_UNIX_PATH_BYTES = 107
_LAST_PORT = 65535
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host and a port; `str()` returns gRPC's notation.

    Attributes:
        host: an IP address, without brackets, or a host name.
        port: the port; 0 for one that the kernel chooses.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether only this host can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A Unix socket; `str()` returns gRPC's notation.

    Attributes:
        path: absolute path of the socket.
    """

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"

    @property
    def is_local(self) -> bool:
        """Whether only this host can connect: always."""
        return True


ListenAddress = Annotated[TcpAddress | UnixAddress, PlainSerializer(str)]


def parse_listen_address(text: str) -> ListenAddress:
    """Parse an address.

    Raises:
        ValueError: the text is not an address; the message has the cause.
    """
    if text.startswith("unix:"):
        return _unix(text.removeprefix("unix:"))
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal() or int(port) > _LAST_PORT:
        raise ValueError(f"{text!r} is neither 'host:port' nor 'unix:/path'")
    if not host:
        raise ValueError(f"{text!r} names no host; 0.0.0.0{text} would be every IPv4 address")
    return TcpAddress(_host(host), int(port))


def parse_listen_addresses(value: object) -> object:
    """Parse addresses: a comma-separated text or a list."""
    texts = value.split(",") if isinstance(value, str) else value
    if not isinstance(texts, list | tuple):
        raise ValueError("give one address, or a list of them")  # noqa: TRY004 - pydantic expects ValueError
    addresses = tuple(
        parse_listen_address(text.strip()) if isinstance(text, str) else text for text in texts
    )
    if not addresses:
        raise ValueError("give at least one address")
    return addresses


def parse_optional_listen_addresses(value: object) -> object:
    """Parse addresses, or none."""
    return () if value in ("", [], ()) else parse_listen_addresses(value)


def _unix(path: str) -> UnixAddress:
    # gRPC's other notation, unix:///path, means the same
    absolute = Path(path.removeprefix("//")).absolute()
    if not path or "\0" in path:
        raise ValueError("a Unix socket needs a path: 'unix:/run/proa/proa.sock'")
    if len(bytes(absolute)) > _UNIX_PATH_BYTES:
        raise ValueError(
            f"the path of a Unix socket has at most {_UNIX_PATH_BYTES} bytes, this is longer: {absolute}"
        )
    return UnixAddress(absolute)


def _host(text: str) -> str:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        if bare != text or not _HOST_NAME.fullmatch(text):
            raise ValueError(f"{text!r} is neither an IP address nor a host name") from None
        if re.fullmatch(r"[0-9.]+", text):
            raise ValueError(f"{text!r} is not an IP address") from None
        return text
    if (address.version == 6) != (bare != text):  # noqa: PLR2004 - IP version 6
        raise ValueError(
            f"{text!r}: an IPv6 address, and only that, stands in brackets: [::1]:50051"
        )
    return str(address)
