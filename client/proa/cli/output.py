"""What goes to standard output: tables for people, protobuf's JSON for programs."""

import json
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from proa.cli.text import plain

_WIDE = 1000


class Format(StrEnum):
    """The forms of the output."""

    TABLE = "table"
    JSON = "json"


def as_dict(message: Message) -> dict[str, Any]:
    """A message as JSON has it, with the field names of the contract."""
    fields: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return fields


def write_message(message: Message) -> None:
    """Write a message as a JSON object."""
    typer.echo(json.dumps(as_dict(message), indent=2))


def write_messages(messages: Iterable[Message]) -> None:
    """Write messages as a JSON array."""
    typer.echo(json.dumps([as_dict(message) for message in messages], indent=2))


def make_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Make a table; with a rule under its headings if somebody looks at it on a terminal."""
    table = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    return table


def write_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table; whole lines if nobody looks at it on a terminal."""
    table = make_table(headings, rows)
    width = None if sys.stdout.isatty() else _WIDE
    console = Console(file=sys.stdout, width=width, highlight=False)
    with console.capture() as captured:
        console.print(table)
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines() if line.strip()))


def write_fields(message: Message) -> None:
    """Write a message as indented lines of fields."""
    typer.echo("\n".join(_lines(as_dict(message), "")))


def _lines(value: dict[str, Any], indent: str) -> list[str]:
    lines = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines += [f"{indent}{plain(key)}:", *_lines(item, f"{indent}  ")]
        elif isinstance(item, list):
            lines.append(f"{indent}{plain(key)}:")
            for entry in item:
                inner = _lines(entry, "") if isinstance(entry, dict) else [plain(str(entry))]
                lines += [f"{indent}  {'- ' if n == 0 else '  '}{s}" for n, s in enumerate(inner)]
        else:
            lines.append(f"{indent}{plain(key)}: {plain(str(item))}")
    return lines


def write_warning(text: str) -> None:
    """Write a warning to standard error."""
    typer.echo(f"Warning: {plain(text)}", err=True)
