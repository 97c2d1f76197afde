"""Detection of a TLS mismatch with a daemon that cannot be reached.

Either one side alone uses TLS, or both do and one does not trust the other's certificate. gRPC
reports each case as a closed connection, so that a probe has to find out.
"""

import socket
import ssl
from contextlib import suppress

import proa
from proa.channels import address
from proa.cli.invocation import Invocation

_TIMEOUT = 3.0
# Nothing answers, or the host or port of the target is impossible.
_UNREACHED = (OSError, ValueError, OverflowError)
# RFC 9113, 3.4: the preface of a client; each side sends its SETTINGS frame first.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_FRAME_HEADER = 9
_TYPE_AT = 3
_SETTINGS = 4


def other_protocol(error: proa.Error, invocation: Invocation) -> str:
    """Return a message if a TLS mismatch caused the failure; empty otherwise."""
    where = address(invocation.target)
    if where is None or not isinstance(error, proa.Unavailable | proa.DeadlineExceeded):
        return ""
    if not invocation.tls and _speaks_tls(where):
        return (
            f"{invocation.target} speaks TLS and was called without; add --tls-ca FILE, the authority "
            "of its certificate, or --tls if that is a well-known one"
        )
    if invocation.tls and _speaks_plainly(where):
        return (
            f"{invocation.target} speaks no TLS and was called with it; leave out --tls, --tls-ca, "
            "--tls-cert and --tls-key, and unset PROA_TLS_CA, PROA_TLS_CERT and PROA_TLS_KEY"
        )
    if invocation.tls and _speaks_tls(where):
        return (
            f"{invocation.target} speaks TLS, but the two do not trust each other: its certificate must "
            "have that name and come from the authority of --tls-ca, or with --tls from a "
            "well-known one; if it asks for ours, that is --tls-cert with --tls-key"
        )
    return ""


def _connect(where: tuple[str, int] | str) -> socket.socket:
    if isinstance(where, tuple):
        return socket.create_connection(where, _TIMEOUT)
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(_TIMEOUT)
    try:
        made.connect(where)
    except OSError:
        made.close()
        raise
    return made


def _speaks_tls(where: tuple[str, int] | str) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The probe sends nothing, so that the identity of the peer does not matter.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with suppress(*_UNREACHED), _connect(where) as plain, context.wrap_socket(plain):
        return True
    return False


def _speaks_plainly(where: tuple[str, int] | str) -> bool:
    with suppress(*_UNREACHED), _connect(where) as plain:
        plain.sendall(_PREFACE)
        begun = b""
        while len(begun) < _FRAME_HEADER and (more := plain.recv(_FRAME_HEADER - len(begun))):
            begun += more
        return len(begun) == _FRAME_HEADER and begun[_TYPE_AT] == _SETTINGS
    return False
