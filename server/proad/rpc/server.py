"""The gRPC server: its services and its addresses."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH_SERVICE
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from proad.config import ListenAddress, TcpAddress, UnixAddress
from proad.errors import SetupError
from proad.rpc import caller
from proad.rpc.decode import prepare_all
from proad.rpc.health import Health
from proad.rpc.interceptor import CallInterceptor
from proad.rpc.methods import SERVICES, largest_request
from proad.rpc.servicers import Servicers
from proad.rpc.timing import RpcTiming
from proad.rpc.tls_credentials import TlsCredentials
from proad.sockets import SocketAccess, unshared
from proad.unix_streams import refuse_descriptors_at

_log = structlog.get_logger(__name__)

# Bytes by which a request may be too large and still get an error of ours, not of gRPC.
_SLACK = 64 * 1024

# Calls at one address that wait to be begun, of 12 KiB each.
_MOST_PENDING = 16_384

# Bytes of all headers of a call. A token has about 450.
_METADATA_BYTES = 8 * 1024


class RpcServer:
    """Serves the contract, health and reflection on some addresses.

    Args:
        interceptor: handles every call.
        health: the health service.
        servicers: those of the contract.
        max_message_bytes: largest message that is sent.
        max_concurrent_streams: calls at a time on one connection.
        timing: durations.
    """

    def __init__(
        self,
        *,
        interceptor: CallInterceptor,
        health: Health,
        servicers: Servicers,
        max_message_bytes: int,
        max_concurrent_streams: int,
        timing: RpcTiming = RpcTiming(),
    ) -> None:
        self._timing = timing
        self._interceptor = interceptor
        self._health = health
        self._servicers = servicers
        # One for each address: gRPC tells a call nothing of the address that it came by.
        self._servers: list[grpc.aio.Server] = []
        self._options = [
            # A second daemon on the same port must fail, not take half of the calls.
            ("grpc.so_reuseport", 0),
            # gRPC checks the announced length and the decompressed one: nothing larger is
            # ever in memory, not even before a caller is authorized.
            ("grpc.max_receive_message_length", largest_request() + _SLACK),
            ("grpc.max_send_message_length", max_message_bytes),
            # What is sent and not read stays in memory: 64 KiB of each call. With windows
            # that grow with a connection's throughput, it would be 128 MiB of each call.
            ("grpc.http2.bdp_probe", 0),
            ("grpc.max_concurrent_streams", max_concurrent_streams),
            # Beyond 1000 calls that wait to be begun, gRPC would cancel some at random, and
            # beyond 3000 all: strangers with four connections would keep everybody else out.
            ("grpc.server.max_pending_requests", _MOST_PENDING),
            ("grpc.server.max_pending_requests_hard_limit", _MOST_PENDING),
            # One announced limit in place of a range in which gRPC refuses at random.
            ("grpc.max_metadata_size", _METADATA_BYTES),
            ("grpc.absolute_max_metadata_size", _METADATA_BYTES),
            # Close connections without a handshake or without calls. Do not close any for
            # its age: that would end watches.
            ("grpc.server_handshake_timeout_ms", _milliseconds(timing.handshake)),
            ("grpc.max_connection_idle_ms", _milliseconds(timing.idle)),
            ("grpc.keepalive_time_ms", _milliseconds(timing.keepalive)),
            ("grpc.keepalive_timeout_ms", _milliseconds(timing.keepalive_timeout)),
            # Clients may keep an idle connection alive, but not hammer.
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ]

    def _register(self, registry: Any) -> None:
        """Register all services, those beside the contract included."""
        self._servicers.register(registry)
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, registry)
        names = [*service_names(), HEALTH_SERVICE, reflection.SERVICE_NAME]
        # Their stubs have no type for it.
        add_reflection: Any = reflection_pb2_grpc.add_ServerReflectionServicer_to_server
        add_reflection(reflection.aio.ReflectionServicer(names), registry)

    def _server_at(self, address: ListenAddress) -> grpc.aio.Server:
        """Return a new server of all services, for one address."""
        at = _ListenedAt(str(address))
        server = grpc.aio.server(interceptors=[at, self._interceptor], options=self._options)
        self._register(_Registry(server))
        self._servers.append(server)
        return server

    def listen(
        self,
        addresses: Sequence[ListenAddress],
        tls: TlsCredentials,
        access: SocketAccess = SocketAccess(),
    ) -> list[str]:
        """Bind the addresses and return them as they are bound, with real ports.

        Args:
            addresses: the addresses.
            tls: the credentials of those that are no Unix sockets.
            access: who may connect to Unix sockets.

        Raises:
            SetupError: an address is in use or does not belong to this host, or a socket
                cannot be given to its group.
        """
        bound = []
        for address in addresses:
            # A Unix socket needs no TLS: the permissions of its file decide who may connect.
            credentials = None if isinstance(address, UnixAddress) else tls.for_address(address)
            server = self._server_at(address)
            try:
                if credentials is None:
                    with unshared():
                        port = server.add_insecure_port(str(address))
                else:
                    port = server.add_secure_port(str(address), credentials)
            except RuntimeError:
                raise SetupError(f"cannot listen on {address}: is it taken?") from None
            match address:
                case UnixAddress(path):
                    refuse_descriptors_at(str(path))  # those who read for gRPC would close them
                    access.open(path)
                    bound.append(str(address))
                case TcpAddress(host):
                    bound.append(str(TcpAddress(host, port)))
        return bound

    async def start(self) -> None:
        """Start to serve."""
        prepare_all()
        logging.getLogger("grpc._cython.cygrpc").addFilter(_is_of_a_fault)
        await self._health.start()
        for server in self._servers:
            await server.start()

    async def stop(self, drain: timedelta) -> None:
        """Report NOT_SERVING, refuse new calls, and wait up to `drain` for those in flight."""
        await self._health.stop()
        self._interceptor.close()
        self._servicers.resources.close()
        try:
            await asyncio.wait_for(self._interceptor.drained(), drain.total_seconds())
        except TimeoutError:
            _log.warning("calls cut off", after_seconds=drain.total_seconds())
        grace = self._timing.last_grace
        await asyncio.gather(*(server.stop(grace) for server in self._servers))
        self._interceptor.write_log()


def _is_of_a_fault(record: logging.LogRecord) -> bool:
    """Return whether a line of gRPC is of more than an answer to a caller who has gone.

    Strangers could fill a disk with those, by health and reflection.
    """
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, grpc.aio.InternalError)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


class _ListenedAt(grpc.aio.ServerInterceptor):
    """Tells each call of a server at which address of the daemon it came in."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Note the address for the call, and pass the call on."""
        caller.enter_address(self._address)
        return await continuation(handler_call_details)


class _Registry:
    """Registers servicers with a server as generic handlers, as generated code calls it.

    grpc.aio 1.85 waits for each registered method on its own, at every call: with forty
    methods, that costs more than everything else that is done for a read.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self.add_generic_rpc_handlers = server.add_generic_rpc_handlers

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Do nothing: the generic handlers cover these methods, too."""


def service_names() -> list[str]:
    """Return the names of the contract's services."""
    return [service.full_name for service in SERVICES]
