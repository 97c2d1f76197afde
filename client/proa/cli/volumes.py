"""volumes: ls, create, rm."""

from typing import Annotated

import typer

from proa import v1
from proa.cli.changing import changing
from proa.cli.output import write_line, write_message, write_messages, write_table
from proa.cli.session import Host, IgnoreUnreadable, NoTrunc, Output, Session
from proa.cli.tables import Column
from proa.cli.text import human_size, one_of, size, word, words
from proa.cli.vm_options import volume_ref

app = typer.Typer(help="Volumes in storage pools; alone, lists them.", invoke_without_command=True)

Volume = Annotated[str, typer.Argument(metavar="[POOL/]NAME", help="The volume.")]

_COLUMNS = (
    Column("POOL", rank=1, least=8),
    Column("NAME", least=20),
    Column("FORMAT", rank=4),
    Column("SIZE", rank=2),
    Column("USED", rank=3),
    Column("MODE", rank=5),
    Column("PATH", rank=6, least=20),
)


@app.callback()
def volumes(ctx: typer.Context, *, no_trunc: NoTrunc = False, output: Output = None) -> None:
    """Volumes in storage pools; alone, lists them."""
    if ctx.invoked_subcommand is None:
        ls(ctx, no_trunc=no_trunc, output=output)


@app.command()
def ls(
    ctx: typer.Context,
    *,
    pool: Annotated[str, typer.Argument(help="Only of this pool.")] = "",
    host: Host = "",
    no_trunc: NoTrunc = False,
    output: Output = None,
) -> None:
    """List volumes by pool and name."""
    session = Session.of(ctx, output)
    with session.connect() as client:
        found = list(client.list_volumes(pool, host=host))
    if session.as_json:
        write_messages(found)
        return
    rows = (
        (
            volume.pool,
            volume.name,
            word(v1.DiskFormat, v1.DiskFormat.Name(volume.format)) if volume.format else "",
            human_size(volume.capacity_bytes),
            human_size(volume.allocation_bytes),
            "ro" if volume.read_only else "rw",
            volume.path,
        )
        for volume in found
    )
    write_table(_COLUMNS, rows, whole=no_trunc)


@app.command()
@changing
def create(
    ctx: typer.Context,
    *,
    name: Volume,
    capacity: Annotated[
        int | None,
        typer.Option("--size", parser=size, metavar="SIZE", help="Size, such as 10GiB."),
    ] = None,
    base: Annotated[
        v1.VolumeRef | None,
        typer.Option(parser=volume_ref, metavar="[POOL/]NAME", help="Volume that it begins with."),
    ] = None,
    base_format: Annotated[
        v1.DiskFormat.ValueType | None,
        typer.Option(
            parser=one_of(v1.DiskFormat),
            metavar="FORMAT",
            help="Format of a base that Proa did not make.",
        ),
    ] = None,
    form: Annotated[
        v1.DiskFormat.ValueType | None,
        typer.Option(
            "--format",
            parser=one_of(v1.DiskFormat),
            metavar="FORMAT",
            help=f"{words(v1.DiskFormat)}; default: qcow2.",
        ),
    ] = None,
    preallocate: Annotated[
        bool, typer.Option("--preallocate", help="Take all of the space now.")
    ] = False,
    host: Host = "",
    output: Output = None,
) -> None:
    """Create a volume, empty or from a base volume."""
    session = Session.of(ctx, output)
    where = volume_ref(name)
    if base is not None and base_format:
        base.format = base_format
    spec = v1.VolumeSpec(
        pool=where.pool,
        name=where.name,
        capacity_bytes=capacity or 0,
        format=form or v1.DISK_FORMAT_UNSPECIFIED,
        base=base,
        preallocate=preallocate,
    )
    with session.connect() as client:
        request = v1.CreateVolumeRequest(spec=spec, host=host)
        volume = client.volumes.CreateVolume(request).volume
    if session.as_json:
        write_message(volume)
    else:
        write_line(f"{volume.pool}/{volume.name}")


@app.command()
@changing
def rm(
    ctx: typer.Context,
    *,
    names: Annotated[list[str], typer.Argument(metavar="[POOL/]NAME...", help="The volumes.")],
    ignore_unreadable: IgnoreUnreadable = None,
    host: Host = "",
    output: Output = None,
) -> None:
    """Delete volumes and what is in them."""
    session = Session.of(ctx, output)
    with session.connect() as client:

        def one(name: str) -> v1.Volume:
            where = volume_ref(name)
            request = v1.DeleteVolumeRequest(
                pool=where.pool,
                name=where.name,
                host=host,
                ignore_unreadable=ignore_unreadable,
            )
            client.volumes.DeleteVolume(request)
            return v1.Volume(pool=where.pool, name=where.name)

        session.each(names, one, lambda volume: [volume.name])
