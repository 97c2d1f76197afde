"""A daemon at whose address callers show certificates."""

from contextlib import asynccontextmanager

import grpc

from certificates import Authority
from free_port import free_port
from proad.reload import Reloader
from rpc.daemon import RPCS, refusal


class Edge:
    """A daemon with TLS for callers that show a certificate, and a Unix socket."""

    def __init__(self, folder, serve, settings):
        self.authority = Authority()
        self._folder = folder
        self._serve = serve
        self._settings = settings
        self.port = free_port()
        self._changed = {}

    async def start(self, *mapped, **others):
        self.authority.server().write(self._folder, "server")
        self.trust(self.authority)
        files = {"cert": "server.crt", "key": "server.key", "client_ca": "clients.crt"}
        self._changed = {f"tls_{kind}_file": self._folder / file for kind, file in files.items()}
        self._changed |= {
            "listen": f"unix:{self._folder}/s,127.0.0.1:{self.port}",
            "client_certificate": mapped,
            **others,
        }
        reloader = Reloader(
            self._settings(**self._changed), lambda: self._settings(**self._changed)
        )
        self.reload = reloader.reload
        self.daemon = await self._serve(parts={"reloader": reloader}, **self._changed)

    def trust(self, *authorities):
        pem = b"".join(each.pem for each in authorities)
        (self._folder / "clients.crt").write_bytes(pem)

    def change(self, **settings):
        self._changed |= settings

    @asynccontextmanager
    async def connected(self, issued=None):
        """Yield a channel that shows a certificate."""
        credentials = grpc.ssl_channel_credentials(
            self.authority.pem, issued and issued.pem_key, issued and issued.chain
        )
        own = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        async with grpc.aio.secure_channel(
            f"127.0.0.1:{self.port}", credentials, options=own
        ) as channel:
            yield channel

    def call(self, channel, name="GetCaller", token=None, **fields):
        rpc = RPCS[name]
        return self.daemon.send(rpc, rpc.request(**fields), token=token, channel=channel)

    async def reason(self, channel, name="GetCaller", token=None):
        """Return the reason for which a call is refused; None if it is served."""
        try:
            await self.call(channel, name, token)
        except grpc.aio.AioRpcError:
            return (await refusal(self.call(channel, name, token))).reason
        return None
