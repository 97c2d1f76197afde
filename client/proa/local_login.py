"""Tokens from the daemon's login socket: the kernel says who connects, and no password is needed."""

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path

import grpc
from google.protobuf import json_format
from google.rpc import status_pb2

from proa import v1
from proa.channels import Endpoint, address
from proa.errors import Details, Unavailable, error_of_status
from proa.timing import ClientTiming

DEFAULT_SOCKET = "/run/proa/login.sock"
_NAME = "login.sock"


@dataclass(frozen=True)
class LocalLogin:
    """The login socket of a daemon on this host, as a source of tokens.

    Attributes:
        path: path of the socket.
        username: name of the daemon's user, where several are mapped to this one; empty: the
            first.
        scopes: scopes of the tokens; empty for all that there are.
    """

    path: str
    username: str = ""
    scopes: tuple[v1.Scope.ValueType, ...] = ()

    def request(self) -> v1.CreateTokenRequest:
        """Return the request of a token."""
        return v1.CreateTokenRequest(username=self.username, scopes=self.scopes)

    def log_in(self, timing: ClientTiming = ClientTiming()) -> v1.CreateTokenResponse:
        """Get a token.

        Raises:
            proa.Error: the daemon refused, or nobody answers there.
        """
        try:
            line = self._ask(timing.login_timeout)
        except OSError as error:
            raise _unavailable(f"{self.path}: {error.strerror or 'no answer'}") from None
        return _answer(line, self.path)

    def _ask(self, timeout: float) -> bytes:
        request = json_format.MessageToDict(self.request())
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(self.path)
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answers:
                return answers.readline()


def login_socket(endpoint: Endpoint, *, chosen: bool | str | os.PathLike[str]) -> str | None:
    """Return the path of a login socket; None: none is wanted.

    Args:
        endpoint: the daemon.
        chosen: the path; True for the usual one; False for none.

    Raises:
        ValueError: the daemon is not on this host, and has no usual one.
    """
    if not isinstance(chosen, bool):
        return os.fspath(chosen)
    return usual_socket(endpoint) if chosen else None


def usual_socket(endpoint: Endpoint) -> str:
    """Return `login.sock` beside a daemon's own Unix socket, or the default with one on loopback.

    Raises:
        ValueError: the daemon is not on this host.
    """
    where = address(endpoint.target)
    if isinstance(where, str):
        return str(Path(where).with_name(_NAME))
    if not endpoint.local:
        raise ValueError(
            f"{endpoint.target} is not on this host, whose users a login socket knows; "
            "give the path of a login socket, a password, or a service key"
        )
    return DEFAULT_SOCKET


def _answer(line: bytes, path: str) -> v1.CreateTokenResponse:
    try:
        answer = json.loads(line)
        failure = answer.get("error")
        if failure is None:
            return json_format.ParseDict(
                answer, v1.CreateTokenResponse(), ignore_unknown_fields=True
            )
        status = json_format.ParseDict(failure, status_pb2.Status(), ignore_unknown_fields=True)
    except (ValueError, AttributeError, json_format.ParseError):
        raise _unavailable(f"{path}: it hung up, or is no login socket of proad") from None
    raise error_of_status(status)


def _unavailable(message: str) -> Unavailable:
    return Unavailable(grpc.StatusCode.UNAVAILABLE, Details(message=message))
