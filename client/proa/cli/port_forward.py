"""port-forward: ports of this machine that lead into a container or a virtual machine."""

import asyncio
import errno
import os
import re
from contextlib import AsyncExitStack, suppress
from typing import Annotated

import typer

import proa
from proa import v1
from proa.aio.client import Client
from proa.cli import describe, exits
from proa.cli.output import write_json, write_line
from proa.cli.session import Id, Output, Session

_PAIR = re.compile(
    r"(?:(?P<local>[0-9]{0,5}):)?(?:(?P<port>[0-9]{1,5})|(?P<socket>/.*))", re.DOTALL
)
_LAST = 2**16 - 1
_EPILOG = """\
8080:80 leads from port 8080 of this machine to port 80 inside, 80 from 80 to 80, and :80 from any port
that is free. Of a container the port is that of its own loopback where the daemon may enter its network,
so that nothing has to be published; of a virtual machine, that of its address in a network of libvirt.
8080:/run/app.sock leads to a Unix socket of a container, and :/run/app.sock from any port that is free.

Each connection is a call of its own. One that fails is reset and told of; the others go on."""


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("port-forward", epilog=_EPILOG)(port_forward)


def _pair(text: str) -> tuple[int, int | str]:
    """Return the local port, 0 for any, and the port or the path of the socket inside."""
    found = _PAIR.fullmatch(text)
    if found is not None and found["socket"]:
        if found["local"] is None:
            raise typer.BadParameter(
                f"{text!r} needs a port of this machine: 8080:{text}, or :{text} for any that is free"
            )
        if int(found["local"] or 0) <= _LAST:
            return int(found["local"] or 0), found["socket"]
    elif found is not None:
        inside = int(found["port"])
        local = inside if found["local"] is None else int(found["local"] or 0)
        if 1 <= inside <= _LAST and local <= _LAST:
            return local, inside
    raise typer.BadParameter(
        f"{text!r} is not [[LOCAL]:]PORT or [LOCAL]:PATH, such as 8080:80, 80, :80 or "
        "8080:/run/app.sock"
    )


def port_forward(
    ctx: typer.Context,
    *,
    id: Id,
    ports: Annotated[
        list[str],
        typer.Argument(
            metavar="[[LOCAL]:]PORT|[LOCAL]:PATH...",
            help="Ports or Unix sockets, such as 8080:80 or 8080:/run/app.sock.",
        ),
    ],
    address: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address of this machine to listen on.")
    ] = "127.0.0.1",
    output: Output = None,
) -> None:
    """Lead ports of this machine to ports or sockets inside, until Ctrl-C, as kubectl port-forward."""
    session = Session.of(ctx, output)
    pairs = [_pair(each) for each in ports]
    with exits.until_interrupted(), session.connect() as client:
        # Who may not see it, or mistyped it, learns that before the first connection.
        with suppress(proa.PermissionDenied):  # who has the right to go in may lack that to look
            _check(client.resources.GetResource(v1.GetResourceRequest(id=id)).resource)
        exits.run_until_interrupted(_forward(session, client, id, pairs, address))


def _check(resource: v1.Resource) -> None:
    """Check that there is something to connect to."""
    if resource.state not in {v1.RESOURCE_STATE_RUNNING, v1.RESOURCE_STATE_OTHER}:
        state = describe.state_word(resource.state)
        write_line(f"Error: {resource.name} is {state}: nothing inside listens", err=True)
        raise typer.Exit(exits.Exit.WRONG_STATE)


def _not_listening(error: OSError, address: str, local: int, inside: int | str) -> OSError:
    """Return the error of a place that cannot be listened on, without asyncio's words around it."""
    number = error.errno or 0
    why = os.strerror(number) if number > 0 else error.strerror or str(error)
    if number == errno.EADDRINUSE:
        why = f"{why}; :{inside} takes any port that is free"
    return OSError(number, why, f"[{address}]:{local}" if ":" in address else f"{address}:{local}")


async def _forward(
    session: Session,
    client: proa.Client,
    id: str,
    pairs: list[tuple[int, int | str]],
    address: str,
) -> None:
    def told(error: proa.Error) -> None:
        exits.report(error, session.invocation, as_json=session.as_json)

    async with AsyncExitStack() as open:
        connected: Client = await open.enter_async_context(session.connect_async(client))
        for local, inside in pairs:
            path = inside if isinstance(inside, str) else ""
            listening = connected.listen_port(
                id,
                0 if path else int(inside),
                socket_path=path,
                address=address,
                local_port=local,
                on_error=told,
            )
            try:
                listener = await open.enter_async_context(listening)
            except OSError as error:
                raise _not_listening(error, address, local, inside) from None
            host, port = listener.address
            if session.as_json:
                key = "forwarded_socket" if path else "forwarded_port"
                write_json({"address": host, "port": port, key: inside})
            else:
                place = f"[{host}]" if ":" in host else host
                write_line(f"Forwarding from {place}:{port} -> {inside}")
        await asyncio.Event().wait()
