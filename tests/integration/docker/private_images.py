"""A daemon of two tenants on a real engine, and registries that lie about what they have."""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from integration.docker.registry import PASSWORD, USER
from proa import v1
from proad.config import Settings
from proad.drivers.docker import DockerDriver
from proad.model import Access
from proad.store.database import Database
from proad.store.images import ImageStore
from relaxed_policy import SHARED_NETWORKS
from rpc.daemon import refusal, running
from rpc.tenants import Tenant, tenant

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass(frozen=True)
class Puller:
    """A tenant who pulls images."""

    tenant: Tenant

    async def login(self, registry: str) -> None:
        fields = {"registry": registry, "username": USER, "password": PASSWORD}
        await self.tenant.call("LoginRegistry", **fields)

    async def pull(self, image: str) -> v1.Image:
        call = self.tenant.call("PullImage", image=image)
        *_, last = [response async for response in call]
        pulled: v1.Image = last.image
        return pulled

    async def fails_to_pull(self, image: str) -> Any:
        """Return the error of a pull, whose progress may come first."""
        call = self.tenant.call("PullImage", image=image)

        async def to_the_end() -> None:
            async for _ in call:
                pass

        return await refusal(to_the_end())

    async def sees(self, image: str, **which: Any) -> bool:
        """Return whether a list has an image of that id."""
        listed = await self.tenant.call("ListImages", page_size=1000, **which)
        return any(each.id == image for each in listed.images)

    async def names_of(self, image: str) -> set[str]:
        """Return the names that an image is known by."""
        listed = await self.tenant.call("ListImages", page_size=1000)
        return {
            name
            for each in listed.images
            if each.id == image
            for name in (*each.tags, *each.digests)
        }


@asynccontextmanager
async def pullers(
    state: Path, *registries: str, driver: DockerDriver | None = None
) -> AsyncIterator[tuple[Puller, Puller, Puller]]:
    """Serve the real engine for ann and bob with access own, and for olga, who may see all.

    What the daemon has in its database outlives it, as long as the folder is the same.
    """
    state.mkdir(mode=0o700, exist_ok=True)
    values: dict[str, Any] = {
        "listen": "127.0.0.1:0",
        "drain_timeout": "5s",
        "policy": {**SHARED_NETWORKS, "allowed_registries": ["*", *registries]},
    }
    settings = Settings(state_dir=state, **values)
    async with Database.open(settings.database_url.get_secret_value()) as database:
        records = ImageStore(database, "this daemon")
        drivers = [("local", driver or DockerDriver())]
        async with running(settings, drivers, image_records=records) as daemon:
            made = []
            for name, access in (("ann", Access.OWN), ("bob", Access.OWN), ("olga", Access.ALL)):
                user = await daemon.users.get(name)
                known = Tenant(daemon, name, user.id) if user else None
                made.append(Puller(known or await tenant(daemon, name, access)))
            ann, bob, olga = made
            yield ann, bob, olga


@contextmanager
def lying_registry(config: str) -> Iterator[str]:
    """Serve a registry, open to everybody, whose images all have a configuration that it lacks.

    An engine that has an image of that id fetches nothing else.
    """
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": 1000,
                "digest": config,
            },
            "layers": [],
        }
    ).encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = manifest if "/manifests/" in self.path else b"{}"
            self.send_response(200 if "/blobs/" not in self.path else 404)
            self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
            self.send_header("Docker-Content-Digest", f"sha256:{sha256(manifest).hexdigest()}")
            self.send_header("Content-Type", _MANIFEST)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - as the server wants it

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
