"""cp: files and directories into containers and virtual machines, and out of them."""

import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from posixpath import basename, dirname, join, normpath
from typing import Annotated

import typer

import proa
from proa import v1
from proa.cli import exits
from proa.cli.output import make_console, write_bytes, write_json, write_line
from proa.cli.session import Session
from proa.cli.tables import shown
from proa.cli.text import human_size
from proa.cli.wording import in_cli_words
from proa.file_trees import PERMISSIONS, TreeEntry, new_file, opened_folder, permitted, with_name

_IN_MEMORY = 2**20
_MOST_LINKS = 40
_EPILOG = """\
One of the two is ID:PATH, with an absolute path inside the container or virtual machine; what begins
with / or . is a local path, so that ./a:b is one, too. A single - is standard input or output, for the bytes of the file
themselves.

Files have their permissions to read, write and execute, no others such as setuid, and no owner. With -r a directory goes with all that is in it, file by file: into TO
if that is a directory, else as TO; of FROM/. only what is in it. What is no file and no directory, such as a link,
is left out and told. What cannot be copied is told, too, the others are copied, and the exit code says so. A copy with links
and owners goes by tar: proa exec ID tar -c -C /DIR . | tar -x"""


@dataclass(frozen=True)
class Inside:
    """A file inside a resource."""

    id: str
    path: str


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("cp", epilog=_EPILOG)(cp)


def cp(
    ctx: typer.Context,
    *,
    source: Annotated[str, typer.Argument(metavar="FROM", help="ID:PATH, a local path, or -.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="ID:PATH, a local path, or -.")],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="A directory with all that is in it.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="With -r, name what is copied.")
    ] = False,
    no_overwrite: Annotated[
        bool, typer.Option("--no-overwrite", help="Refuse to take the place of a file.")
    ] = False,
) -> None:
    """Copy a file or a directory into or out of a container or a virtual machine, as docker cp."""
    session = Session.of(ctx, None)
    if recursive and "-" in {source, target}:
        raise typer.BadParameter("-r copies between directories; - is for the bytes of one file")
    copying = _Copying(
        session=session, recursive=recursive, overwrite=not no_overwrite, verbose=verbose
    )
    match _place(source), _place(target):
        case Inside() as inside, str() as local:
            with session.connect() as client:
                copying.download(client, inside, local)
        case str() as local, Inside() as inside:
            with session.connect() as client:
                copying.upload(client, local, inside)
        case _:
            raise typer.BadParameter(
                "one of FROM and TO is ID:PATH, the other a local path or -; "
                "a local name with a colon is written ./NAME"
            )


def _place(text: str) -> Inside | str:
    """Return what an argument names: a file inside, or a local one."""
    id, colon, path = text.partition(":")
    if not colon or not id or text.startswith(("/", ".")):
        return text
    if not path.startswith("/"):
        raise typer.BadParameter(
            f"{text!r}: the path inside begins with /, as in {id}:/{path or 'PATH'}; "
            "a local name with a colon is written ./NAME"
        )
    return Inside(id, path)


@dataclass(frozen=True, kw_only=True)
class _Copying:
    """How files are copied.

    Attributes:
        session: the session of the command.
        recursive: whether directories are, too.
        overwrite: whether files may take the place of others.
        verbose: whether each one is named.
    """

    session: Session
    recursive: bool
    overwrite: bool
    verbose: bool

    def download(self, client: proa.Client, source: Inside, target: str) -> None:
        """Copy a file or a directory of a resource to this machine."""
        if self.recursive and _is_directory(client, source):
            path = Path(target)
            if path.is_dir() and not _is_contents(source.path):
                path /= _name_of(source)
            found = client.download_tree(source.id, source.path, path, overwrite=self.overwrite)
            self._report(found)
            return
        with client.read_file(source.id, source.path) as file:
            if target == "-":
                for data in file:
                    write_bytes(data)
                return
            # The name is the caller's own, never one that comes from inside.
            path = Path(target)
            if path.is_dir():
                path /= _name_of(source)
            try:
                with (
                    opened_folder(path.parent, follow=True) as folder,
                    new_file(folder, path.name, overwrite=self.overwrite) as copy,
                ):
                    for data in file:
                        copy.write(data)
                    os.fchmod(copy.fileno(), permitted(file.info.mode))
            except FileExistsError:
                write_line(
                    f"Error: {str(path)!r} exists already; leave out --no-overwrite to put another "
                    "in its place",
                    err=True,
                )
                raise typer.Exit(exits.Exit.CONFLICT) from None
            except OSError as error:
                raise with_name(error, path) from error

    def upload(self, client: proa.Client, source: str, target: Inside) -> None:
        """Copy a file or a directory of this machine into a resource."""
        if source == "-":
            with tempfile.SpooledTemporaryFile(_IN_MEMORY) as spooled:  # its size is not known
                try:
                    while data := sys.stdin.buffer.read(_IN_MEMORY):
                        spooled.write(data)
                    spooled.seek(0)
                except OSError as error:
                    raise with_name(error, tempfile.gettempdir()) from error
                client.write_file(target.id, target.path, spooled, overwrite=self.overwrite)
            return
        named, path = Path(source), target.path
        name = named.resolve().name if named.name in {"", ".."} else named.name
        if Path(source).is_dir():
            if not self.recursive:
                raise ValueError(f"{source!r} is a directory; -r copies it with all that is in it")
            if _is_directory(client, target) and not _is_contents(source):
                if not name:
                    raise ValueError(f"{source!r} has no name; {source}. is what is in it")
                path = join(path, name)
            found = client.upload_tree(source, target.id, path, overwrite=self.overwrite)
            self._report(found)
            return
        with Path(source).open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ValueError(f"{source!r} is no regular file")
            if path.endswith("/") or _is_directory(client, target):
                path = join(path, name)
            mode = status.st_mode & PERMISSIONS
            client.write_file(target.id, path, file, mode=mode, overwrite=self.overwrite)

    def _report(self, entries: Iterable[TreeEntry]) -> None:
        """Tell what becomes of each file; fail if one was not copied."""
        told = _Told(self.session, verbose=self.verbose)
        with make_console(err=True).status("") as status:  # seen on a terminal alone
            for entry in entries:
                status.update(shown(entry.path))
                if told.is_worth(entry):
                    status.stop()
                told.tell(entry)
                status.start()
        told.end()


class _Told:
    """What is told of a tree that is copied.

    Args:
        session: the session of the command.
        verbose: whether what was copied is named.
    """

    def __init__(self, session: Session, *, verbose: bool) -> None:
        self._session = session
        self._verbose = verbose
        self._codes: set[exits.Exit] = set()
        self._counts = {"files": 0, "directories": 0, "bytes": 0, "left_out": 0, "failed": 0}

    def is_worth(self, entry: TreeEntry) -> bool:
        """Return whether there is anything to tell of a file."""
        return self._verbose or entry.error is not None or bool(entry.left_out)

    def tell(self, entry: TreeEntry) -> None:
        """Count a file, and write what there is to tell of it."""
        if entry.error is not None:
            self._counts["failed"] += 1
            self._codes.add(_code_for(entry.error))
            self._tell_failure(entry.path, entry.error)
        elif entry.left_out:
            self._counts["left_out"] += 1
            fields = {"path": entry.path, "left_out": entry.left_out}
            self._write(fields, f"Left out: {entry.path}: {entry.left_out}", err=True)
        else:
            self._counts["directories" if entry.is_directory else "files"] += 1
            self._counts["bytes"] += entry.size_bytes
            if self._verbose:
                copied = {"path": entry.path, "size_bytes": entry.size_bytes}
                self._write(copied, f"{entry.path}/" if entry.is_directory else entry.path)

    def end(self) -> None:
        """Write how much that was; fail if something was not copied."""
        counts = self._counts
        text = f"{counts['files']} files, {counts['directories']} directories, " + human_size(
            counts["bytes"]
        )
        for key, what in (("left_out", "left out"), ("failed", "failed")):
            text += f", {counts[key]} {what}" if counts[key] else ""
        self._write(counts, text, err=not self._session.as_json)
        if self._codes:
            raise typer.Exit(self._codes.pop() if len(self._codes) == 1 else exits.Exit.OTHER)

    def _tell_failure(self, path: str, error: proa.Error | OSError | ValueError) -> None:
        if isinstance(error, proa.Error):
            reason, message = error.reason, in_cli_words(error.message, self._session.invocation)
        elif isinstance(error, OSError):
            reason, message = "", error.strerror or str(error)
        else:
            reason, message = "", str(error)
        fields = {"path": path, "reason": reason, "message": message}
        self._write(fields, f"Error: {path}: {message}", err=True)

    def _write(self, fields: Mapping[str, object], text: str, *, err: bool = False) -> None:
        if self._session.as_json:
            write_json(fields, err=err)
        else:
            write_line(text, err=err)


def _code_for(error: proa.Error | OSError | ValueError) -> exits.Exit:
    if isinstance(error, proa.Error):
        return exits.code_for(error)
    return exits.Exit.CONFLICT if isinstance(error, FileExistsError) else exits.Exit.OTHER


def _is_directory(client: proa.Client, place: Inside) -> bool:
    """Return whether there is a directory at a place, or a link that leads to one."""
    path = place.path
    try:
        for _ in range(_MOST_LINKS):
            file = client.stat_file(place.id, path)
            if file.type != v1.FILE_TYPE_SYMLINK:
                return file.type == v1.FILE_TYPE_DIRECTORY
            path = normpath(join(dirname(path), file.link_target))
    except proa.NotFound as error:
        if error.reason != "FILE_NOT_FOUND":
            raise
    return False


def _is_contents(path: str) -> bool:
    """Return whether a path stands for what is in a directory, as with cp."""
    return path == "." or path.endswith("/.")


def _name_of(source: Inside) -> str:
    """Return the name that a copy gets in a directory of this machine."""
    name = basename(normpath(source.path))
    if name in {"", "/", ".", ".."}:
        raise ValueError(f"{source.path!r} has no name that a file can have here")
    return name
