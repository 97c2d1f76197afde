"""All output of commands: tables and lines for people, protobuf's JSON for programs.

Texts of the daemon, of engines, of guests and of the command line are untrusted. They are escaped
here and nowhere else: other modules of the CLI do not write.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table
from rich.text import Text

from proa.cli import tables
from proa.cli.tables import Column
from proa.cli.text import escaped


class Format(StrEnum):
    """The output formats."""

    TABLE = "table"
    JSON = "json"


def as_dict(message: Message) -> dict[str, Any]:
    """Return a message for JSON, with the field names of the contract."""
    fields: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return fields


def leaves(message: Message) -> dict[str, str]:
    """Return the values of a message by the paths of their fields: "ports[0].host_ip"."""
    return dict(_leaves(as_dict(message), ""))


def _leaves(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, _scalar(value)


def write_json(value: object, *, indent: int | None = None, err: bool = False) -> None:
    """Write a value as JSON in printable ASCII."""
    # DEL is the only control character that json leaves, and it can only be within a string.
    typer.echo(json.dumps(value, indent=indent).replace("\x7f", "\\u007f"), err=err)


def write_message(message: Message) -> None:
    """Write a message as a JSON object."""
    write_json(as_dict(message), indent=2)


def write_messages(messages: Iterable[Message]) -> None:
    """Write messages as a JSON array."""
    write_json([as_dict(message) for message in messages], indent=2)


def write_line(text: str, *, err: bool = False) -> None:
    """Write one line, escaped; to standard error with `err`."""
    typer.echo(escaped(text), err=err)


def write_document(text: str) -> None:
    """Write a text of many lines: escaped to a terminal, unchanged otherwise."""
    if on_terminal():
        typer.echo(escaped(text, keep="\n\t").removesuffix("\n"))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.flush()


def write_bytes(data: bytes, *, err: bool = False) -> None:
    """Write bytes of a command elsewhere, as they are: they are for whoever runs the command."""
    stream = sys.stderr if err else sys.stdout
    stream.buffer.write(data)
    stream.flush()


def write_log(data: bytes, *, err: bool = False, ends: bool = True) -> None:
    """Write a line of a log: escaped to a terminal, unchanged otherwise; `ends`: with its end."""
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        data = escaped(data.decode(errors="replace"), keep="\t").encode()
    stream.buffer.write(data + b"\n" if ends else data)
    stream.flush()


def drop_output() -> None:
    """Let the rest of the output go: nobody reads it any more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def on_terminal() -> bool:
    """Return whether the output is a terminal."""
    return sys.stdout.isatty()


def make_console(*, err: bool = False) -> Console:
    """Return a console for output that is redrawn; its texts must come from `tables.shown`."""
    return Console(stderr=err, highlight=False, markup=False, emoji=False)


def make_table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[str]],
    console: Console,
    *,
    notes: Iterable[str] = (),
) -> Table:
    """Return a table that fits a console, with notes below it."""
    table, _ = tables.make_table(columns, rows, width=console.width, ruled=True)
    table.caption = Text("\n".join(map(escaped, notes)))
    table.caption_justify = "left"
    return table


def write_table(
    columns: Sequence[Column], rows: Iterable[Sequence[str]], *, whole: bool = False
) -> None:
    """Write a table; uncut with `whole` or if the output is no terminal."""
    console = Console(file=sys.stdout, highlight=False, emoji=False)
    width = None if whole or not on_terminal() else console.width
    table, console.width = tables.make_table(columns, rows, width=width, ruled=on_terminal())
    with console.capture() as captured:
        console.print(table)
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def write_fields(message: Message) -> None:
    """Write a message as indented lines of fields."""
    for line in _lines(as_dict(message), ""):
        write_line(line)


def _lines(value: dict[str, Any], indent: str) -> list[str]:
    lines = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines += [f"{indent}{key}:", *_lines(item, f"{indent}  ")]
        elif isinstance(item, list):
            lines.append(f"{indent}{key}:")
            for entry in item:
                inner = _lines(entry, "") if isinstance(entry, dict) else [_scalar(entry)]
                lines += [f"{indent}  {'- ' if n == 0 else '  '}{s}" for n, s in enumerate(inner)]
        else:
            lines.append(f"{indent}{key}: {_scalar(item)}")
    return lines


def _scalar(value: object) -> str:
    """Return a value as JSON spells it, but texts without quotes."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def write_warning(text: str) -> None:
    """Write a warning to standard error."""
    write_line(f"Warning: {text}", err=True)
