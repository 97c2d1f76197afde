"""attach and console: the main process of a container, or the serial console of a machine."""

import os
import signal
import sys
from typing import Annotated

import typer

from proa import v1
from proa.attachment import Attachment
from proa.cli.exec_command import ExecCommand
from proa.cli.output import drop_output, write_bytes, write_line, write_warning
from proa.cli.passing_on import feed, forwarded, start_thread
from proa.cli.session import Id, Session
from proa.cli.terminal import DetachKeys, SignalledError, keys, raw, size_of

_SIGNALLED = 128
_PROXIED = (signal.SIGINT, signal.SIGTERM)
# As docker attach and virsh console have them.
_DETACH_KEYS = {v1.RESOURCE_KIND_DOMAIN: "ctrl-]"}
_OF_OTHERS = "ctrl-p,ctrl-q"
_EPILOG = """\
What is written from now on is shown. However proa ends, the resource goes on; but the main process of
a container that was made by docker run -i without -t reads the end of its input when proa ends.

On a terminal, all keys go there but for --detach-keys: Ctrl-P Ctrl-Q for a container, Ctrl-] for a
machine. To send those, name others, such as --detach-keys ctrl-a,d. The end of the input detaches, too.
What was made without --interactive takes no input: of it the output is shown alone. Without a terminal, Ctrl-C and SIGTERM are passed on to the main
process of a container, unless --no-sig-proxy.

The exit code is that of the main process, when it ends; 0 after detaching, and when a machine stops.
proa itself exits with 125 when it fails."""


def add_to(app: typer.Typer) -> None:
    """Register the command, by both of its names."""
    app.command("attach", cls=ExecCommand, epilog=_EPILOG)(attach)
    app.command("console", cls=ExecCommand, epilog=_EPILOG)(console)


_NoStdin = Annotated[bool, typer.Option("--no-stdin", help="Pass no input on.")]
_Exclusive = Annotated[
    bool, typer.Option("--exclusive", help="Fail if others are attached; keep others out.")
]
_Force = Annotated[bool, typer.Option("--force", help="End what others have attached.")]
_NoSigProxy = Annotated[
    bool, typer.Option("--no-sig-proxy", help="Pass no signals on: they end proa alone.")
]
_Keys = Annotated[
    str | None, typer.Option("--detach-keys", metavar="KEYS", help="Keys that detach; empty: none.")
]


def attach(
    ctx: typer.Context,
    *,
    id: Id,
    no_stdin: _NoStdin = False,
    exclusive: _Exclusive = False,
    force: _Force = False,
    no_sig_proxy: _NoSigProxy = False,
    detach_keys: _Keys = None,
) -> None:
    """Attach to the main process of a container or a machine's serial console, as docker attach."""
    _attach(
        ctx,
        id,
        stdin=not no_stdin,
        exclusive=exclusive,
        force=force,
        proxied=() if no_sig_proxy else _PROXIED,
        detach_keys=detach_keys,
    )


def console(
    ctx: typer.Context,
    *,
    id: Id,
    no_stdin: _NoStdin = False,
    exclusive: _Exclusive = False,
    force: _Force = False,
    detach_keys: _Keys = None,
) -> None:
    """Attach to the serial console of a virtual machine or to a container, as virsh console."""
    _attach(
        ctx,
        id,
        stdin=not no_stdin,
        exclusive=exclusive,
        force=force,
        proxied=(),
        detach_keys=detach_keys,
    )


def _attach(
    ctx: typer.Context,
    id: str,
    *,
    stdin: bool,
    exclusive: bool,
    force: bool,
    proxied: tuple[signal.Signals, ...],
    detach_keys: str | None,
) -> None:
    given = None if detach_keys is None else keys(detach_keys)
    size = size_of(1, 0)
    with (
        Session.of(ctx, None).connect() as client,
        client.attach(
            id, stdin=None if stdin else False, size=size, exclusive=exclusive, force=force
        ) as attached,
    ):
        if stdin and not attached.stdin:
            write_warning(
                "it takes no input, since it was made without --interactive: output alone"
            )
        resizes = attached.can_resize and size is not None
        try:
            if not (attached.tty and attached.stdin and os.isatty(sys.stdin.fileno())):
                with forwarded(attached, signals=proxied, resizes=resizes):
                    code = _run(attached, DetachKeys(b""))
            else:
                default = _DETACH_KEYS.get(attached.kind, _OF_OTHERS)
                found = keys(default) if given is None else given
                if found:
                    pressed = default if given is None else detach_keys
                    write_line(f"Attached; {pressed} detaches.", err=True)
                with raw(sys.stdin.fileno()), forwarded(attached, signals=(), resizes=resizes):
                    code = _run(attached, DetachKeys(found))
                if not attached.ended:
                    write_line("", err=True)
                    write_line("Detached: it goes on.", err=True)
        except SignalledError as error:
            code = _SIGNALLED + error.number
        except BrokenPipeError:
            drop_output()
            code = _SIGNALLED + signal.SIGPIPE
    raise typer.Exit(code)


def _run(attached: Attachment, detach_keys: DetachKeys) -> int:
    """Carry bytes both ways until it ends; return the exit code for it."""
    if attached.stdin:
        at_end = attached.close_stdin if attached.stdin_once else attached.detach
        start_thread(feed, attached, sys.stdin.fileno(), detach_keys, at_end)
    for output in attached:
        write_bytes(output.data, err=output.is_stderr)
    return attached.exit.code if attached.exit is not None else 0
