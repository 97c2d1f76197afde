"""The address of the daemon and the channel to it."""

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
    """The TLS settings of a channel. All files are PEM.

    Attributes:
        ca_file: authorities to trust; None for those that gRPC ships with.
        cert_file: the client's own certificate, for mTLS.
        key_file: the key of that certificate.
        server_name: name to expect in the daemon's certificate; None for the target's.
    """

    ca_file: str | os.PathLike[str] | None = None
    cert_file: str | os.PathLike[str] | None = None
    key_file: str | os.PathLike[str] | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("a certificate needs its key: set both cert_file and key_file")

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files, and return the credentials.

        Raises:
            OSError: a file cannot be read.
            ValueError: one is empty, as while somebody writes it.
        """
        return grpc.ssl_channel_credentials(
            root_certificates=_read(self.ca_file),
            private_key=_read(self.key_file),
            certificate_chain=_read(self.cert_file),
        )


def _read(file: str | os.PathLike[str] | None) -> bytes | None:
    """Read a file. gRPC would end the process for a key that is empty."""
    if file is None:
        return None
    if not (data := Path(file).read_bytes()):
        raise ValueError(f"{file}: is empty")
    return data


@dataclass(frozen=True)
class Endpoint:
    """The address of a daemon and the security of the channel.

    Attributes:
        target: target in gRPC's notation: "127.0.0.1:50051", "unix:/run/proa.sock", …
        tls: TLS settings; None for no TLS.
        allow_insecure: whether secrets may cross a network unencrypted.
    """

    target: str
    tls: TLS | None = None
    allow_insecure: bool = False

    @classmethod
    def of(cls, target: str | None, *, tls: TLS | bool | None, allow_insecure: bool) -> "Endpoint":
        """Return the endpoint of `connect`'s arguments. The default target is PROA_TARGET.

        A host without a port gets the default port.
        """
        chosen = target or os.environ.get("PROA_TARGET") or DEFAULT_TARGET
        return cls(_with_port(chosen), TLS() if tls is True else tls or None, allow_insecure)

    @property
    def local(self) -> bool:
        """Whether the target is on this host: a Unix socket or a loopback address."""
        return self.target.startswith(("unix:", "unix-abstract:")) or _is_loopback(self.target)

    def check_secret(self, what: str) -> None:
        """Raise ValueError if a secret would cross a network unencrypted."""
        if self.tls is None and not self.local and not self.allow_insecure:
            raise ValueError(
                f"{what} would go to {self.target} in the clear; "
                "use TLS, or allow it (allow_insecure=True, proa --insecure) where nobody else listens"
            )

    def check_call(self, method: str) -> None:
        """Raise ValueError if credentials in a request would cross a network unencrypted."""
        if method in _WITH_CREDENTIALS:
            self.check_secret("the password, key or refresh token of a login")

    def options(self, extra: Options, *, request_ids: bool) -> list[tuple[str, OptionValue]]:
        """Return the channel's options; those of the caller override ours."""
        options: dict[str, OptionValue] = {
            "grpc.service_config": contract.service_config(request_ids=request_ids),
            # Detects a connection that died silently within 40 s, but only during a call.
            "grpc.keepalive_time_ms": 30_000,
            "grpc.keepalive_timeout_ms": 10_000,
            # A watch must reconnect soon after a restart of the daemon; by default gRPC's
            # pauses between attempts grow to two minutes.
            "grpc.initial_reconnect_backoff_ms": 200,
            "grpc.max_reconnect_backoff_ms": 5_000,
            # A page is below gRPC's default of 4 MiB, but a single resource may be larger.
            "grpc.max_receive_message_length": 64 * 2**20,
        }
        if self.local:
            options["grpc.enable_http_proxy"] = 0
        if self.tls is not None and self.tls.server_name is not None:
            options["grpc.ssl_target_name_override"] = self.tls.server_name
        return list({**options, **dict(extra)}.items())


_WITH_CREDENTIALS = frozenset(
    contract.path(method) for method in contract.methods() if contract.carries_credentials(method)
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
    """Add the default port to a host without one, for which gRPC would use 443.

    Invalid ports are refused, since gRPC takes a port modulo 65536 and would send secrets to
    another one.

    Raises:
        ValueError: the target is a URL, or its port is invalid.
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
    """Return the host and port, or the path, of a target; None if a resolver decides."""
    if target.startswith("unix:"):
        path = target.removeprefix("unix:")
        return path.removeprefix("//") if path.startswith("///") else path
    match = _HOST_PORT.fullmatch(target)
    if match is None or match["port"] is None:
        return None
    return match["ipv6"] or match["host"], int(match["port"])


def _is_loopback(target: str) -> bool:
    match = _HOST_PORT.fullmatch(target)
    if match is None:  # another resolver, or several addresses
        return False
    host = match["ipv6"] or match["host"]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
