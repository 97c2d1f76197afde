"""ls, get, host: reading resources and hosts."""

from collections.abc import Iterator
from datetime import UTC
from typing import Annotated

import typer

from proa import v1
from proa.cli import describe, exits, filters
from proa.cli.output import (
    write_fields,
    write_line,
    write_message,
    write_messages,
    write_table,
    write_warning,
)
from proa.cli.session import Id, NoTrunc, Output, Session
from proa.cli.tables import Column
from proa.cli.text import age, human_size, word
from proa.paging import pages

_ACTIVE = (
    v1.RESOURCE_STATE_STARTING,
    v1.RESOURCE_STATE_RUNNING,
    v1.RESOURCE_STATE_PAUSED,
    v1.RESOURCE_STATE_SUSPENDED,
    v1.RESOURCE_STATE_STOPPING,
)

_COLUMNS = (
    Column("ID", rank=2),
    Column("KIND", rank=3),
    Column("NAME", least=16),
    Column("STATE", rank=1, least=13),
    Column("CREATED", rank=5),
    Column("WHAT", rank=4, least=12),
)
_ENGINES = (
    Column("ENGINE"),
    Column("VERSION", rank=3),
    Column("HEALTH", rank=1),
    Column("SYNCED", rank=2),
    Column("ENDPOINT", rank=4, least=16),
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("ls")(ls)
    app.command("get")(get)
    app.command("host")(host)


def ls(
    ctx: typer.Context,
    *,
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="Also what does not run.")
    ] = False,
    kind: filters.Kinds = None,
    label: filters.Labels = None,
    state: filters.States = None,
    name: filters.Name = "",
    image: filters.Image = "",
    host: filters.Hosts = None,
    owner: filters.Owners = None,
    sort: Annotated[
        str,
        typer.Option(metavar="FIELDS", help='Order, such as "name" or "create_time desc,name".'),
    ] = "",
    full: Annotated[bool, typer.Option("--full", help="JSON: everything, not a summary.")] = False,
    no_trunc: NoTrunc = False,
    output: Output = None,
) -> None:
    """List containers and virtual machines; without --all, those that run."""
    session = Session.of(ctx, output)
    states = state or (() if everything else _ACTIVE)
    request = v1.ListResourcesRequest(
        filter=filters.chosen(kind, label, states, name, image, host, owner),
        order_by=sort,
        view=v1.RESOURCE_VIEW_FULL if full else v1.RESOURCE_VIEW_SUMMARY,
        return_partial_success=True,
    )
    resources: list[v1.Resource] = []
    unreachable: set[str] = set()
    with session.connect() as client:
        for page in pages(client.resources.ListResources, request):
            resources += page.resources
            unreachable |= {describe.engine(ref) for ref in page.unreachable}
    if session.as_json:
        write_messages(resources)
    else:
        rows = (_row(resource, whole=no_trunc) for resource in resources)
        write_table(_COLUMNS, rows, whole=no_trunc)
    for engine in sorted(unreachable):
        write_warning(f"{engine} does not answer; what it has is missing here")
    if unreachable:
        raise typer.Exit(exits.Exit.UNAVAILABLE)


def _row(resource: v1.Resource, *, whole: bool) -> tuple[str, ...]:
    created = f"{age(resource.create_time.ToDatetime(UTC))} ago"
    return (
        resource.id if whole else describe.short_id(resource),
        describe.kind(resource),
        resource.name,
        describe.state(resource),
        created if resource.HasField("create_time") else "",
        describe.what(resource, whole=whole),
    )


def get(ctx: typer.Context, id: Id, output: Output = None) -> None:
    """Show everything about a container or virtual machine."""
    session = Session.of(ctx, output)
    with session.connect() as client:
        resource = client.resources.GetResource(v1.GetResourceRequest(id=id)).resource
    if session.as_json:
        write_message(resource)
    else:
        write_fields(resource)


def host(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Option("--host", help="Host connection; default: all of them.")
    ] = "",
    output: Output = None,
) -> None:
    """Show the hosts, or one: the engines, their health and what they can do."""
    session = Session.of(ctx, output)
    with session.connect() as client:
        if name:
            found = [client.hosts.GetHost(v1.GetHostRequest(host=name)).host]
        else:
            listed = pages(client.hosts.ListHosts, v1.ListHostsRequest())
            found = [one for page in listed for one in page.hosts]
    if session.as_json:
        write_messages(found)
        return
    for one in found:
        _write_host(one)


def _write_host(found: v1.Host) -> None:
    told = (
        f"{found.name}: {found.hostname}, {found.cpus} CPUs, {human_size(found.memory_bytes)}, "
        f"{found.architecture}"
    )
    # It is an engine that tells them; none of this host may have answered yet.
    write_line(told if found.hostname else found.name)
    write_table(_ENGINES, _engines(found))
    for engine in found.engines:
        can = (word(v1.Capability, v1.Capability.Name(one)) for one in engine.capabilities)
        write_line(f"{engine.ref.driver} can: {', '.join(can)}")
    for engine in found.engines:
        if engine.health_message:
            write_warning(f"{engine.ref.driver}: {engine.health_message}")
        for warning in engine.warnings:
            write_warning(f"{engine.ref.driver}: {warning}")


def _engines(found: v1.Host) -> Iterator[tuple[str, ...]]:
    for engine in found.engines:
        synced = f"{age(engine.last_sync_time.ToDatetime(UTC))} ago"
        yield (
            engine.ref.driver,
            engine.version,
            word(v1.EngineHealth, v1.EngineHealth.Name(engine.health)),
            synced if engine.HasField("last_sync_time") else "",
            engine.endpoint,
        )
