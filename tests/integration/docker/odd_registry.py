"""Registries that answer with errors or do not answer."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_SECRET = "words-of-a-registry"


@dataclass(frozen=True, kw_only=True)
class OddRegistry:
    """A registry that gives the same answer to every request but the first.

    Attributes:
        row: the name of the refusal that it leads to.
        call: for docs/refusals.md.
        status: of its answers; None: nobody is there.
        body: of its answers.
        plain: it speaks no TLS, on an address where the engine wants that.
        name: of the image that is pulled from it.
        platform: of that.
        field: of an INVALID_ARGUMENT, what is blamed.
        secret: what it says, which no caller may hear.
    """

    row: str
    call: str
    status: HTTPStatus | None = None
    body: bytes = b"{}"
    plain: bool = False
    name: str = "proa-test/none"
    platform: str = ""
    field: str = ""
    secret: str = _SECRET

    @contextmanager
    def serve(self, bridge_address: str) -> Iterator[str]:
        """Serve the registry and yield its address.

        `bridge_address` is an address of this host that is not loopback, for a `plain` one.
        """
        if self.status is None:
            yield "127.0.0.1:1"
            return
        status, body = self.status, self.body

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                first = self.path == "/v2/"
                answer = b"{}" if first else body
                self.send_response(HTTPStatus.OK if first else status)
                self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
                self.send_header(
                    "Content-Type", _LIST if b"manifests" in answer else "application/json"
                )
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer)

            do_HEAD = do_GET  # noqa: N815 - as the server wants it

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer((bridge_address if self.plain else "127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"{server.server_address[0]!s}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _errors(code: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": _SECRET}]}).encode()


_S390X = {"architecture": "s390x", "os": "linux"}
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_ELSEWHERE = {"mediaType": _MANIFEST, "size": 7, "digest": f"sha256:{'a' * 64}", "platform": _S390X}
_LISTED = {"schemaVersion": 2, "mediaType": _LIST, "manifests": [_ELSEWHERE]}

ODD_REGISTRIES = (
    OddRegistry(
        row="is no platform that the engine knows",
        call="PullImage, platform sheep",
        platform="sheep",
        field="platform",
    ),
    OddRegistry(
        row="is no image name, such as debian:12",
        call="PullImage, a name with capitals",
        name="NO/NAME",
        field="image",
    ),
    OddRegistry(row="the registry does not answer", call="PullImage, nobody at that address"),
    OddRegistry(
        row="the registry has a trouble of its own",
        call="PullImage, it answers 503",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        body=_SECRET.encode(),
    ),
    OddRegistry(
        row="the registry takes no more requests for now",
        call="PullImage, it answers 429",
        status=HTTPStatus.TOO_MANY_REQUESTS,
        body=_errors("TOOMANYREQUESTS"),
    ),
    OddRegistry(
        row="the engine does not trust the registry's certificate, or it speaks no TLS",
        call="PullImage, plain HTTP on an address that is not loopback",
        status=HTTPStatus.OK,
        plain=True,
    ),
    OddRegistry(
        row="for this platform in its registry",
        call="PullImage, an image for another platform alone",
        status=HTTPStatus.OK,
        body=json.dumps(_LISTED).encode(),
    ),
    OddRegistry(
        row="in its registry",
        call="PullImage, a name that is not there",
        status=HTTPStatus.NOT_FOUND,
        body=_errors("MANIFEST_UNKNOWN"),
    ),
)
