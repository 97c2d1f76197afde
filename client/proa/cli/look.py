"""ls, get, host: looking at what there is."""

from collections.abc import Iterator
from datetime import UTC
from typing import Annotated

import typer

from proa import v1
from proa.cli import exits
from proa.cli.output import (
    write_fields,
    write_message,
    write_messages,
    write_table,
    write_warning,
)
from proa.cli.session import Host, Id, Output, Session
from proa.cli.text import age, human_size, one_of, pairs, word, words
from proa.paging import pages

_ACTIVE = (
    v1.RESOURCE_STATE_STARTING,
    v1.RESOURCE_STATE_RUNNING,
    v1.RESOURCE_STATE_PAUSED,
    v1.RESOURCE_STATE_SUSPENDED,
    v1.RESOURCE_STATE_STOPPING,
)
_KINDS = {
    "container": v1.RESOURCE_KIND_CONTAINER,
    "domain": v1.RESOURCE_KIND_DOMAIN,
    "vm": v1.RESOURCE_KIND_DOMAIN,
}


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("ls")(ls)
    app.command("get")(get)
    app.command("host")(host)


def _kind(text: str) -> v1.ResourceKind.ValueType:
    if text not in _KINDS:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(_KINDS)}")
    return _KINDS[text]


def ls(
    ctx: typer.Context,
    *,
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="Also what does not run.")
    ] = False,
    kind: Annotated[
        list[v1.ResourceKind.ValueType] | None,
        typer.Option(parser=_kind, metavar="container|vm", help="Only this kind."),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Only with this label.")
    ] = None,
    state: Annotated[
        list[v1.ResourceState.ValueType] | None,
        typer.Option(
            parser=one_of(v1.ResourceState),
            metavar="STATE",
            help=f"Only in this state: {words(v1.ResourceState)}.",
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="Only with a name that starts like this.")] = "",
    image: Annotated[str, typer.Option(help="Only containers made from this image.")] = "",
    host: Annotated[list[str] | None, typer.Option(help="Only on this host connection.")] = None,
    sort: Annotated[
        str,
        typer.Option(metavar="FIELDS", help='Order, such as "name" or "create_time desc,name".'),
    ] = "",
    full: Annotated[bool, typer.Option("--full", help="JSON: everything, not a summary.")] = False,
    output: Output = None,
) -> None:
    """List containers and virtual machines; without --all, those that run."""
    session = Session.of(ctx, output)
    chosen = v1.ResourceFilter(
        kinds=kind,
        states=state or (() if everything else _ACTIVE),
        labels=pairs(label),
        name_prefix=name,
        image=image,
        hosts=host or (),
    )
    request = v1.ListResourcesRequest(
        filter=chosen,
        order_by=sort,
        view=v1.RESOURCE_VIEW_FULL if full else v1.RESOURCE_VIEW_SUMMARY,
        return_partial_success=True,
    )
    resources: list[v1.Resource] = []
    unreachable: set[str] = set()
    with session.connect() as client:
        for page in pages(client.resources.ListResources, request):
            resources += page.resources
            unreachable |= set(page.unreachable)
    if session.as_json:
        write_messages(resources)
    else:
        headings = ("ID", "KIND", "NAME", "STATE", "CREATED", "WHAT")
        write_table(headings, (_row(resource) for resource in resources))
    for engine in sorted(unreachable):
        write_warning(f"{engine} does not answer; what it has is missing here")
    if unreachable:
        raise typer.Exit(exits.Exit.UNAVAILABLE)


def _row(resource: v1.Resource) -> tuple[str, ...]:
    created = f"{age(resource.create_time.ToDatetime(UTC))} ago"
    return (
        # Of a container any prefix will do, of a domain only the whole.
        resource.id[:12] if resource.kind == v1.RESOURCE_KIND_CONTAINER else resource.id,
        word(v1.ResourceKind, v1.ResourceKind.Name(resource.kind)),
        resource.name,
        _state(resource),
        created if resource.HasField("create_time") else "",
        _what(resource),
    )


def _state(resource: v1.Resource) -> str:
    state = word(v1.ResourceState, v1.ResourceState.Name(resource.state))
    detail = resource.state_detail
    if resource.state == v1.RESOURCE_STATE_STOPPED and detail.HasField("exit_code"):
        return f"{state} ({detail.exit_code})"
    return state


def _what(resource: v1.Resource) -> str:
    if resource.WhichOneof("details") == "container":
        ports = ", ".join(_port(port) for port in resource.container.ports)
        return f"{resource.container.image}{f'  {ports}' if ports else ''}"
    domain = resource.domain
    return f"{domain.vcpus} vCPU, {human_size(domain.memory_bytes)}"


def _port(port: v1.PublishedPort) -> str:
    protocol = word(v1.PortProtocol, v1.PortProtocol.Name(port.protocol or v1.PORT_PROTOCOL_TCP))
    return f"{port.host_ip or '*'}:{port.host_port}->{port.container_port}/{protocol}"


def get(ctx: typer.Context, id: Id, output: Output = None) -> None:
    """Show everything about a container or virtual machine."""
    session = Session.of(ctx, output)
    with session.connect() as client:
        resource = client.resources.GetResource(v1.GetResourceRequest(id=id)).resource
    if session.as_json:
        write_message(resource)
    else:
        write_fields(resource)


def host(ctx: typer.Context, name: Host = "", output: Output = None) -> None:
    """Show a host: its engines, their health and what they can do."""
    session = Session.of(ctx, output)
    with session.connect() as client:
        response = client.hosts.GetHost(v1.GetHostRequest(host=name))
    if session.as_json:
        write_message(response)
        return
    found = response.host
    typer.echo(
        f"{found.name}: {found.hostname}, {found.cpus} CPUs, {human_size(found.memory_bytes)}, "
        f"{found.architecture}; proad {response.daemon_version}"
    )
    if len(response.host_names) > 1:
        typer.echo(f"host connections: {', '.join(response.host_names)}")
    write_table(("ENGINE", "VERSION", "HEALTH", "ENDPOINT", "CAN"), _engines(found))
    for engine in found.engines:
        for warning in engine.warnings:
            write_warning(f"{engine.driver}: {warning}")


def _engines(found: v1.Host) -> Iterator[tuple[str, ...]]:
    for engine in found.engines:
        health = word(v1.EngineHealth, v1.EngineHealth.Name(engine.health))
        why = f" ({engine.health_message})" if engine.health_message else ""
        can = (word(v1.Capability, v1.Capability.Name(one)) for one in engine.capabilities)
        yield (engine.driver, engine.version, health + why, engine.endpoint, ", ".join(can))
