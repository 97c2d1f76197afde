"""cp, and files: ls, stat, mkdir, rm: files inside containers and virtual machines."""

import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from posixpath import basename, normpath
from typing import IO, Annotated

import typer

import proa
from proa import v1
from proa.cli.changing import changing
from proa.cli.exits import Exit
from proa.cli.output import write_bytes, write_line, write_message, write_messages, write_table
from proa.cli.session import Id, NoTrunc, Output, Session
from proa.cli.tables import Column
from proa.cli.text import human_size

app = typer.Typer(help="Files inside containers and virtual machines.", no_args_is_help=True)

PathInside = Annotated[str, typer.Argument(metavar="PATH", help="Absolute path inside it.")]

_COLUMNS = (
    Column("MODE", rank=2),
    Column("OWNER", rank=4),
    Column("SIZE", rank=1),
    Column("MODIFIED", rank=3),
    Column("NAME", least=20),
)
_TYPES = {
    v1.FILE_TYPE_REGULAR: stat.S_IFREG,
    v1.FILE_TYPE_DIRECTORY: stat.S_IFDIR,
    v1.FILE_TYPE_SYMLINK: stat.S_IFLNK,
    v1.FILE_TYPE_FIFO: stat.S_IFIFO,
    v1.FILE_TYPE_SOCKET: stat.S_IFSOCK,
    v1.FILE_TYPE_CHARACTER_DEVICE: stat.S_IFCHR,
    v1.FILE_TYPE_BLOCK_DEVICE: stat.S_IFBLK,
}
# No program of a guest gets rights here.
_PERMISSIONS = 0o777
_IN_MEMORY = 2**20
_EPILOG = """\
One of the two is ID:PATH, with an absolute path inside the container or virtual machine; what begins
with / or . is a local path, so that ./a:b is one, too. A single - is standard input or output, for the bytes of the file
themselves.

It copies one file at a time, with its permissions but no owner. A folder goes by tar:
proa exec ID tar -c -C /DIR . | tar -x"""


@dataclass(frozen=True)
class Inside:
    """A file inside a resource."""

    id: str
    path: str


def add_to(root: typer.Typer) -> None:
    """Register the commands."""
    root.command("cp", epilog=_EPILOG)(cp)
    root.add_typer(app, name="files")


def cp(
    ctx: typer.Context,
    *,
    source: Annotated[str, typer.Argument(metavar="FROM", help="ID:PATH, a local path, or -.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="ID:PATH, a local path, or -.")],
    no_overwrite: Annotated[
        bool, typer.Option("--no-overwrite", help="Refuse to take the place of a file.")
    ] = False,
) -> None:
    """Copy a file into or out of a container or a virtual machine, as docker cp."""
    session = Session.of(ctx, None)
    match _place(source), _place(target):
        case Inside() as inside, str() as local:
            with session.connect() as client:
                _download(client, inside, local, overwrite=not no_overwrite)
        case str() as local, Inside() as inside:
            with session.connect() as client:
                _upload(client, local, inside, overwrite=not no_overwrite)
        case _:
            raise typer.BadParameter(
                "one of FROM and TO is ID:PATH, the other a local path or -; "
                "a local name with a colon is written ./NAME"
            )


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
            stat.filemode(_TYPES.get(file.type, 0) | file.mode),
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
    write_line(f"mode: {stat.filemode(_TYPES.get(file.type, 0) | file.mode)}")
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


def _place(text: str) -> Inside | str:
    """Return what an argument of cp names: a file inside, or a local one."""
    id, colon, path = text.partition(":")
    if not colon or not id or text.startswith(("/", ".")):
        return text
    return Inside(id, path)


def _download(client: proa.Client, source: Inside, target: str, *, overwrite: bool) -> None:
    with client.read_file(source.id, source.path) as file:
        if target == "-":
            for data in file:
                write_bytes(data)
            return
        # The name is the caller's own, never one that comes from inside.
        path = Path(target)
        if path.is_dir():
            name = basename(normpath(source.path))
            if name in {"", "/", ".", ".."}:
                raise ValueError(f"{source.path!r} has no name that a file can have here")
            path /= name
        with _replacing(path, overwrite=overwrite) as copy:
            for data in file:
                copy.write(data)
            os.fchmod(copy.fileno(), file.info.mode & _PERMISSIONS)


@contextmanager
def _replacing(path: Path, *, overwrite: bool) -> Iterator[IO[bytes]]:
    """Return a new file that takes the place of `path`, or of a link there, if the block ends well."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".proa-", delete=False) as copy:
        try:
            yield copy
            copy.flush()
            if overwrite:
                Path(copy.name).replace(path)
            else:
                try:
                    path.hardlink_to(copy.name)
                except FileExistsError:
                    write_line(f"Error: {str(path)!r} exists already", err=True)
                    raise typer.Exit(Exit.CONFLICT) from None
        finally:
            Path(copy.name).unlink(missing_ok=True)


def _upload(client: proa.Client, source: str, target: Inside, *, overwrite: bool) -> None:
    if source == "-":
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as spooled:  # its size is not known before
            while data := sys.stdin.buffer.read(_IN_MEMORY):
                spooled.write(data)
            spooled.seek(0)
            client.write_file(target.id, target.path, spooled, overwrite=overwrite)
        return
    with Path(source).open("rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{source!r} is no regular file")
        path, mode = target.path, status.st_mode & _PERMISSIONS
        if path.endswith("/") or _is_directory(client, target):
            path = f"{path.rstrip('/')}/{Path(source).name}"
        client.write_file(target.id, path, file, mode=mode, overwrite=overwrite)


def _is_directory(client: proa.Client, place: Inside) -> bool:
    try:
        file = client.stat_file(place.id, place.path)
    except proa.NotFound as error:
        if error.reason != "FILE_NOT_FOUND":
            raise
        return False
    return file.type == v1.FILE_TYPE_DIRECTORY
