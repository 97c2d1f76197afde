"""snapshot create, ls, revert, rm."""

from datetime import UTC
from typing import Annotated

import typer

from proa import v1
from proa.cli.changing import changing
from proa.cli.output import write_line, write_message, write_messages, write_table
from proa.cli.session import Id, NoTrunc, Output, Session
from proa.cli.tables import Column
from proa.cli.text import age, one_of, word, words
from proa.cli.verbs import line

app = typer.Typer(help="Snapshots of virtual machines.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="SNAPSHOT", help="Name of the snapshot.")]

_COLUMNS = (
    Column("NAME", least=16),
    Column("CURRENT", rank=2),
    Column("TAKEN", rank=1),
    Column("STATE", rank=3),
    Column("MEMORY", rank=4),
    Column("AFTER", rank=5, least=8),
    Column("DESCRIPTION", rank=6, least=11),
)


@app.command()
@changing
def create(
    ctx: typer.Context,
    *,
    id: Id,
    name: Annotated[
        str, typer.Argument(metavar="[SNAPSHOT]", help="Name; default: one made of the time.")
    ] = "",
    description: Annotated[str, typer.Option(help="Description.")] = "",
    output: Output = None,
) -> None:
    """Take a snapshot; of a running machine with its memory."""
    session = Session.of(ctx, output)
    request = v1.CreateSnapshotRequest(id=id, name=name, description=description)
    with session.connect() as client:
        snapshot = client.snapshots.CreateSnapshot(request).snapshot
    if session.as_json:
        write_message(snapshot)
    else:
        write_line(snapshot.name)


@app.command()
def ls(ctx: typer.Context, *, id: Id, no_trunc: NoTrunc = False, output: Output = None) -> None:
    """List the snapshots of a machine, oldest first."""
    session = Session.of(ctx, output)
    with session.connect() as client:
        found = list(client.list_snapshots(id))
    if session.as_json:
        write_messages(found)
        return
    rows = (
        (
            snapshot.name,
            "yes" if snapshot.current else "",
            f"{age(snapshot.create_time.ToDatetime(UTC))} ago",
            word(v1.ResourceState, v1.ResourceState.Name(snapshot.state)),
            "yes" if snapshot.has_memory else "no",
            snapshot.parent,
            snapshot.description,
        )
        for snapshot in found
    )
    write_table(_COLUMNS, rows, whole=no_trunc)


@app.command()
@changing
def revert(
    ctx: typer.Context,
    *,
    id: Id,
    name: Name,
    state: Annotated[
        v1.RevertState.ValueType | None,
        typer.Option(
            parser=one_of(v1.RevertState),
            metavar="STATE",
            help=f"Afterwards: {words(v1.RevertState)}; default: as in the snapshot.",
        ),
    ] = None,
    output: Output = None,
) -> None:
    """Take a machine back to a snapshot. What it did since is lost."""
    session = Session.of(ctx, output)
    request = v1.RevertSnapshotRequest(id=id, name=name, state=state or v1.REVERT_STATE_UNSPECIFIED)
    with session.connect() as client:
        resource = client.snapshots.RevertSnapshot(request).resource
    if session.as_json:
        write_message(resource)
    else:
        write_line(line(resource))


@app.command()
@changing
def rm(
    ctx: typer.Context,
    *,
    id: Id,
    names: Annotated[list[str], typer.Argument(metavar="SNAPSHOT...", help="Names.")],
    children: Annotated[
        bool, typer.Option("--children", help="Also the snapshots taken after it.")
    ] = False,
    output: Output = None,
) -> None:
    """Delete snapshots; the machine stays as it is."""
    session = Session.of(ctx, output)
    with session.connect() as client:

        def one(name: str) -> v1.Snapshot:
            request = v1.DeleteSnapshotRequest(id=id, name=name, delete_children=children)
            client.snapshots.DeleteSnapshot(request)
            return v1.Snapshot(name=name)

        session.each(names, one, lambda snapshot: [snapshot.name])
