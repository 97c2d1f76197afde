"""Where the daemon is and how a channel to it is made."""

import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from proa import contract

DEFAULT_PORT = 50051
DEFAULT_TARGET = f"127.0.0.1:{DEFAULT_PORT}"

OptionValue = str | int | bytes
Options = Sequence[tuple[str, OptionValue]]


@dataclass(frozen=True, kw_only=True)
class TLS:
    """How a channel is secured. PEM files all.

    Attributes:
        ca_file: authorities that the daemon's certificate may come from; None: those
            that gRPC ships with.
        cert_file: our own certificate, for a daemon that asks for one (mTLS).
        key_file: the key of it.
        server_name: name to expect in the daemon's certificate, if it is not the
            target's.
    """

    ca_file: str | os.PathLike[str] | None = None
    cert_file: str | os.PathLike[str] | None = None
    key_file: str | os.PathLike[str] | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("a certificate needs its key: set both cert_file and key_file")

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files. Raises OSError where that fails."""
        return grpc.ssl_channel_credentials(
            root_certificates=_read(self.ca_file),
            private_key=_read(self.key_file),
            certificate_chain=_read(self.cert_file),
        )


def _read(file: str | os.PathLike[str] | None) -> bytes | None:
    return None if file is None else Path(file).read_bytes()


@dataclass(frozen=True)
class Endpoint:
    """A daemon's address and how the way to it is secured.

    Attributes:
        target: what gRPC calls a target: "127.0.0.1:50051", "unix:/run/proa.sock", …
        tls: None: in the clear.
        allow_insecure: whether secrets may go in the clear over a network.
    """

    target: str
    tls: TLS | None = None
    allow_insecure: bool = False

    @classmethod
    def of(cls, target: str | None, *, tls: TLS | bool | None, allow_insecure: bool) -> "Endpoint":
        """Take the arguments of `connect`; without a target, that comes from PROA_TARGET.

        A host alone means our port there.
        """
        chosen = target or os.environ.get("PROA_TARGET") or DEFAULT_TARGET
        return cls(_with_port(chosen), TLS() if tls is True else tls or None, allow_insecure)

    @property
    def local(self) -> bool:
        """Whether no network lies between: a Unix socket or a loopback address."""
        return self.target.startswith(("unix:", "unix-abstract:")) or _is_loopback(self.target)

    def check_secret(self, what: str) -> None:
        """Raise ValueError if somebody in between could read a secret on its way."""
        if self.tls is None and not self.local and not self.allow_insecure:
            raise ValueError(
                f"{what} would go to {self.target} in the clear; "
                "use TLS, or allow it (allow_insecure=True, proa --insecure) where nobody else listens"
            )

    def check_call(self, method: str) -> None:
        """Raise ValueError for a call whose request has a password, likewise."""
        if method in _WITH_PASSWORD:
            self.check_secret("a password")

    def options(self, extra: Options) -> list[tuple[str, OptionValue]]:
        """The channel's options; the caller's replace ours of the same name."""
        options: dict[str, OptionValue] = {
            "grpc.service_config": contract.service_config(),
            # A connection that died without a word is found out within 40 s, but
            # only while a call waits on it.
            "grpc.keepalive_time_ms": 30_000,
            "grpc.keepalive_timeout_ms": 10_000,
            # A watch is to be back soon after a daemon that was away; by default gRPC
            # would look for it every two minutes in the end.
            "grpc.initial_reconnect_backoff_ms": 200,
            "grpc.max_reconnect_backoff_ms": 5_000,
            # A page is less than gRPC's 4 MiB, but a single resource may be more.
            "grpc.max_receive_message_length": 64 * 2**20,
        }
        if self.local:
            options["grpc.enable_http_proxy"] = 0
        if self.tls is not None and self.tls.server_name is not None:
            options["grpc.ssl_target_name_override"] = self.tls.server_name
        return list({**options, **dict(extra)}.items())


_WITH_PASSWORD = frozenset(
    contract.path(method) for method in contract.methods() if contract.carries_password(method)
)

_HOST_PORT = re.compile(
    r"(?:dns:(?:///)?|ipv4:|ipv6:)?(?:\[(?P<ipv6>[0-9a-f:]+)\]|(?P<host>[\w.-]+))"
    r"(?::(?P<port>\d+))?",
    re.ASCII | re.IGNORECASE,
)
_HOST_ALONE = re.compile(r"[\w.-]+|\[[^\]]+\]")
_PORT = re.compile(r"(?:[\w.-]*|\[[^\]]+\]):(?P<port>\d*)", re.ASCII)
_URL = re.compile(r"(?:http|grpc)s?://.*", re.IGNORECASE | re.DOTALL)
_MAX_PORT = 65535


def _with_port(target: str) -> str:
    """Add our port to a host that has none, which gRPC would call at 443.

    gRPC would take a port modulo 65536, so that secrets went to another one than was written.

    Raises:
        ValueError: it is a URL, or its port is none.
    """
    if _HOST_ALONE.fullmatch(target):
        return f"{target}:{DEFAULT_PORT}"
    try:
        ipaddress.IPv6Address(target)
    except ValueError:
        pass
    else:
        return f"[{target}]:{DEFAULT_PORT}"
    match = _PORT.fullmatch(target)
    no_port = match is not None and not 1 <= int(match["port"] or 0) <= _MAX_PORT
    if no_port or target.startswith(":") or _URL.fullmatch(target):
        raise ValueError(
            f"{target!r} is no target; write HOST, HOST:PORT with a port up to {_MAX_PORT}, "
            "or unix:PATH"
        )
    return target


def address(target: str) -> tuple[str, int] | str | None:
    """Give the host and port, or the path, of a target; None: it is told by something else."""
    if target.startswith("unix:"):
        path = target.removeprefix("unix:")
        return path.removeprefix("//") if path.startswith("///") else path
    match = _HOST_PORT.fullmatch(target)
    if match is None or match["port"] is None:
        return None
    return match["ipv6"] or match["host"], int(match["port"])


def _is_loopback(target: str) -> bool:
    match = _HOST_PORT.fullmatch(target)
    if match is None:  # another resolver, several addresses: not for us to judge
        return False
    host = match["ipv6"] or match["host"]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
