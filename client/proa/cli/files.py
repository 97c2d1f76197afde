"""files: ls, stat, mkdir, rm: files inside containers and virtual machines."""

import re
import stat
from typing import Annotated

import typer

from proa import v1
from proa.cli.changing import changing
from proa.cli.output import write_line, write_message, write_messages, write_table
from proa.cli.session import Id, NoTrunc, Output, Session
from proa.cli.tables import Column
from proa.cli.text import human_size
from proa.files import FORMATS

app = typer.Typer(help="Files inside containers and virtual machines.", no_args_is_help=True)

PathInside = Annotated[str, typer.Argument(metavar="PATH", help="Absolute path inside it.")]

_COLUMNS = (
    Column("MODE", rank=2),
    Column("OWNER", rank=4),
    Column("SIZE", rank=1),
    Column("MODIFIED", rank=3),
    Column("NAME", least=20),
)


def add_to(root: typer.Typer) -> None:
    """Register the commands."""
    root.add_typer(app, name="files")


@app.command()
def ls(
    ctx: typer.Context,
    *,
    id: Id,
    path: PathInside = "/",
    no_trunc: NoTrunc = False,
    output: Output = None,
) -> None:
    """List a directory by name."""
    session = Session.of(ctx, output)
    with session.connect() as client:
        found = list(client.list_files(id, path))
    if session.as_json:
        write_messages(found)
        return
    rows = (
        (
            _filemode(file),
            f"{file.uid}:{file.gid}",
            human_size(file.size_bytes),
            file.modify_time.ToDatetime().strftime("%Y-%m-%d %H:%M:%S"),
            file.name,
        )
        for file in found
    )
    write_table(_COLUMNS, rows, whole=no_trunc)


@app.command("stat")
def show(ctx: typer.Context, *, id: Id, path: PathInside, output: Output = None) -> None:
    """Show what is known of a file."""
    session = Session.of(ctx, output)
    with session.connect() as client:
        file = client.stat_file(id, path)
    if session.as_json:
        write_message(file)
        return
    write_line(f"name: {file.name}")
    write_line(f"mode: {_filemode(file)}")
    if file.HasField("uid"):
        write_line(f"owner: {file.uid}:{file.gid}")
    write_line(f"size: {file.size_bytes}")
    write_line(f"modified: {file.modify_time.ToJsonString()}")
    if file.link_target:
        write_line(f"link to: {file.link_target}")


def _mode(text: str) -> int:
    if not re.fullmatch(r"[0-7]{1,4}", text):
        raise typer.BadParameter(f"{text!r} is no mode, such as 755")
    return int(text, 8)


@app.command()
@changing
def mkdir(
    ctx: typer.Context,
    *,
    id: Id,
    path: PathInside,
    parents: Annotated[
        bool, typer.Option("--parents", "-p", help="Make those above it, too.")
    ] = False,
    mode: Annotated[int | None, typer.Option(parser=_mode, metavar="MODE", help="As 755.")] = None,
) -> None:
    """Make a directory."""
    session = Session.of(ctx, None)
    with session.connect() as client:
        client.make_directory(id, path, parents=parents, mode=mode)


@app.command()
@changing
def rm(
    ctx: typer.Context,
    *,
    id: Id,
    path: PathInside,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="A directory with all that is in it.")
    ] = False,
) -> None:
    """Remove a file or a directory."""
    session = Session.of(ctx, None)
    with session.connect() as client:
        client.remove_file(id, path, recursive=recursive)


def _filemode(file: v1.FileInfo) -> str:
    """Return type and permissions as ls writes them."""
    return stat.filemode(FORMATS.get(file.type, 0) | file.mode)
