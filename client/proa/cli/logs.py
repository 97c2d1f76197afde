"""logs: what a container or a virtual machine has written."""

from datetime import UTC, datetime
from typing import Annotated

import typer

import proa
from proa.cli import exits
from proa.cli.output import drop_output, write_json, write_log
from proa.cli.session import Id, Output, Session
from proa.cli.text import MOST, duration

_EPILOG = """\
Of a virtual machine that was made through proad, its serial port is kept, the last few MiB; it has no times.

With --follow, the log goes on until the container or the virtual machine ends, and until Ctrl-C."""


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("logs", epilog=_EPILOG)(logs)


def moment(text: str) -> datetime:
    """Parse a time: "2026-11-26T10:00:00Z", or how long ago it is, such as "10m"."""
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        pass
    else:
        return time.astimezone(UTC)
    try:
        return datetime.now(UTC) - duration(text)
    except typer.BadParameter:
        raise typer.BadParameter(
            f"{text!r} is no time; write it like 10m, or 2026-11-26T10:00:00Z"
        ) from None


_Moment = Annotated[
    datetime | None,
    typer.Option(
        parser=moment, metavar="TIME", help="Such as 10m ago, or 2026-11-26T10:00:00Z (containers)."
    ),
]


def _lines(text: str) -> int | None:
    """Parse a number of lines; "all" is None."""
    if text == "all":
        return None
    if not text.isascii() or not text.isdecimal() or int(text) > MOST:
        raise typer.BadParameter(f"{text!r} is no number of lines; write it like 100, or all")
    return int(text)


def logs(
    ctx: typer.Context,
    *,
    id: Id,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until it ends.")
    ] = False,
    tail: Annotated[
        str, typer.Option("--tail", "-n", metavar="LINES", help="So many from the end.")
    ] = "all",
    since: _Moment = None,
    until: _Moment = None,
    timestamps: Annotated[
        bool, typer.Option("--timestamps", "-t", help="Show when each line came (containers).")
    ] = False,
    output: Output = None,
) -> None:
    """Show what a container or a virtual machine has written, as docker logs."""
    session = Session.of(ctx, output)
    wanted = _lines(tail)
    with (
        exits.until_interrupted(),
        session.connect() as client,
        client.logs(
            id,
            follow=follow,
            since=since,
            until=until,
            tail=wanted,
            timestamps=timestamps,
        ) as lines,
    ):
        try:
            begins = {False: True, True: True}
            for line in lines:
                if session.as_json:
                    write_json(_fields(line))
                    continue
                time = _time(line) if timestamps and begins[line.is_stderr] else b""
                begins[line.is_stderr] = not line.partial
                write_log(time + line.data, err=line.is_stderr, ends=not line.partial)
        except BrokenPipeError:
            drop_output()


def _time(line: proa.LogLine) -> bytes:
    """Return the time of a line, as docker logs writes it."""
    if line.time_ns is None:
        return b""
    seconds, rest = divmod(line.time_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z ".encode()


def _fields(line: proa.LogLine) -> dict[str, object]:
    return {
        "text": line.text,
        "output": "stderr" if line.is_stderr else "stdout",
        **({"time": _time(line).decode().strip()} if line.time_ns is not None else {}),
        **({"partial": True} if line.partial else {}),
    }
