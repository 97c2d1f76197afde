"""watch, wait: following changes as they happen."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

import proa
from proa import v1
from proa.cli import describe, exits, filters
from proa.cli.output import as_dict, write_json, write_line, write_message
from proa.cli.session import Id, Output, Session
from proa.cli.text import duration, one_of, word, words
from proa.cli.verbs import line


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("watch")(watch)
    app.command("wait")(wait)


def watch(
    ctx: typer.Context,
    *,
    kind: filters.Kinds = None,
    label: filters.Labels = None,
    state: filters.States = None,
    name: filters.Name = "",
    image: filters.Image = "",
    host: filters.Hosts = None,
    owner: filters.Owners = None,
    output: Output = None,
) -> None:
    """Show what there is and then every change when it happens, until Ctrl-C."""
    session = Session.of(ctx, output)
    which = filters.chosen(kind, label, state, name, image, host, owner)
    with exits.until_interrupted(), session.connect() as client:
        for event in client.watch(which):
            if session.as_json:
                write_json({"time": datetime.now(UTC).isoformat(), **event_fields(event)})
            else:
                now = datetime.now(UTC).astimezone()
                write_line(f"{now:%H:%M:%S}  {event_line(event)}")


def event_line(event: proa.Event) -> str:
    """Return an event as a line for people."""
    match event:
        case proa.Change():
            return _change(event)
        case proa.Synced():
            return "synced: that is all there is"
        case proa.Gap():
            kind = word(v1.GapKind, v1.GapKind.Name(event.kind)).replace("-", " ")
            parts = (
                f"gap: {kind}",
                describe.engine(event.engine) if event.engine else "",
                event.message,
            )
            return ", ".join(part for part in parts if part)
        case proa.Disconnected():
            return f"disconnected, trying again: {event.error.message or event.error.code().name}"
        case proa.Reconnected():
            return "reconnected"


def _change(change: proa.Change) -> str:
    resource = change.resource
    type = word(v1.ChangeType, v1.ChangeType.Name(change.type))
    states = describe.state(resource)
    if change.previous_state not in {v1.RESOURCE_STATE_UNSPECIFIED, resource.state}:
        states = f"{describe.state_word(change.previous_state)} → {states}"
    cause = ""
    if change.cause == v1.CHANGE_CAUSE_API:
        cause = f"  by {change.actor}" if change.actor else "  by a call"
    elif change.cause == v1.CHANGE_CAUSE_EXTERNAL:
        cause = "  from outside"
    return f"{type:<8}  {describe.kind(resource):<9}  {resource.name}  {states}{cause}"


def event_fields(event: proa.Event) -> dict[str, Any]:
    """Return an event for JSON, in the form of the contract where it has one."""
    match event:
        case proa.Change():
            change = v1.ResourceChange(
                type=event.type,
                resource=event.resource,
                previous_state=event.previous_state,
                cause=event.cause,
                actor=event.actor,
            )
            return as_dict(v1.WatchEvent(change=change))
        case proa.Synced():
            return as_dict(v1.WatchEvent(bookmark=v1.Bookmark(synced=True)))
        case proa.Gap():
            gap = v1.Gap(kind=event.kind, engine=event.engine, message=event.message)
            return as_dict(v1.WatchEvent(gap=gap))
        case proa.Disconnected(error=error):
            return {
                "disconnected": {
                    "code": error.code().name,
                    "reason": error.reason,
                    "message": error.message,
                }
            }
        case proa.Reconnected():
            return {"reconnected": {}}


def wait(
    ctx: typer.Context,
    *,
    id: Id,
    state: Annotated[
        list[v1.ResourceState.ValueType] | None,
        typer.Option(
            parser=one_of(v1.ResourceState),
            metavar="STATE",
            help=f"Until it is in this state; several times: in one of them. "
            f"{words(v1.ResourceState)}.",
        ),
    ] = None,
    ready: Annotated[
        bool,
        typer.Option("--ready", help="Until it works: by its health check, or by its guest agent."),
    ] = False,
    address: Annotated[bool, typer.Option("--address", help="Until it has an address.")] = False,
    removed: Annotated[bool, typer.Option("--removed", help="Until it is gone.")] = False,
    timeout: Annotated[
        timedelta | None,
        typer.Option(parser=duration, metavar="TIME", help="The longest to wait, such as 60s."),
    ] = None,
    output: Output = None,
) -> None:
    """Wait until a container or virtual machine is in a state, ready, reachable or gone."""
    session = Session.of(ctx, output)
    states = state or []
    if sum([bool(states), ready, address, removed]) != 1:
        raise typer.BadParameter("give one of --state, --ready, --address, --removed")
    with exits.until_interrupted(), session.connect() as client:
        resource = client.wait(
            id, *states, ready=ready, has_address=address, removed=removed, timeout=timeout
        )
    if session.as_json:
        write_message(resource or v1.Resource())
    else:
        write_line(line(resource) if resource else f"{id} removed")
