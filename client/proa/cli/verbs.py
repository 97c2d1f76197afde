"""start, stop, restart, pause, resume, rm, prune: changes of state."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration

from proa import v1
from proa.cli.changing import changing
from proa.cli.output import write_line, write_message
from proa.cli.session import Etag, Host, Ids, IgnoreUnreadable, Output, Session
from proa.cli.text import duration, human_size, one_of, pairs, word, words
from proa.client import Client

Grace = Annotated[
    timedelta | None,
    typer.Option(parser=duration, metavar="TIME", help="How long it may take, such as 30s."),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (start, stop, restart, pause, resume, rm, prune):
        app.command(command.__name__)(changing(command))


def line(resource: v1.Resource) -> str:
    """Return the line that a verb prints about a resource: name and state."""
    return f"{resource.name} {word(v1.ResourceState, v1.ResourceState.Name(resource.state))}"


def _duration(given: timedelta | None) -> Duration | None:
    if given is None:
        return None
    made = Duration()
    made.FromTimedelta(given)
    return made


def _each(
    ctx: typer.Context,
    output: Output,
    ids: Ids,
    one: Callable[[Client, str], v1.Resource],
) -> None:
    """Run a verb on each of several resources, and print the outcome."""
    session = Session.of(ctx, output)
    with session.connect() as client:
        session.each(ids, lambda id: one(client, id), lambda resource: [line(resource)])


def start(
    ctx: typer.Context,
    *,
    ids: Ids,
    from_snapshot: Annotated[
        str, typer.Option(metavar="NAME", help="VMs: go back to this snapshot first.")
    ] = "",
    discard_saved: Annotated[
        bool, typer.Option("--discard-saved", help="VMs: drop the saved state and boot anew.")
    ] = False,
    output: Output = None,
) -> None:
    """Start what is stopped, and resume what is paused."""

    def one(client: Client, id: str) -> v1.Resource:
        request = v1.StartResourceRequest(
            id=id, from_snapshot=from_snapshot, discard_saved_state=discard_saved
        )
        return client.resources.StartResource(request).resource

    _each(ctx, output, ids, one)


def stop(
    ctx: typer.Context,
    *,
    ids: Ids,
    mode: Annotated[
        v1.StopMode.ValueType | None,
        typer.Option(
            parser=one_of(v1.StopMode),
            metavar="MODE",
            help=f"How: {words(v1.StopMode)}. "
            "Default: containers graceful-then-force, VMs graceful.",
        ),
    ] = None,
    grace: Grace = None,
    output: Output = None,
) -> None:
    """Stop containers and virtual machines."""

    def one(client: Client, id: str) -> v1.Resource:
        request = v1.StopResourceRequest(
            id=id, mode=mode or v1.STOP_MODE_UNSPECIFIED, grace_period=_duration(grace)
        )
        return client.resources.StopResource(request).resource

    _each(ctx, output, ids, one)


def restart(
    ctx: typer.Context,
    *,
    ids: Ids,
    mode: Annotated[
        v1.RestartMode.ValueType | None,
        typer.Option(
            parser=one_of(v1.RestartMode),
            metavar="MODE",
            help=f"How: {words(v1.RestartMode)}.",
        ),
    ] = None,
    grace: Grace = None,
    output: Output = None,
) -> None:
    """Restart what runs."""

    def one(client: Client, id: str) -> v1.Resource:
        request = v1.RestartResourceRequest(
            id=id, mode=mode or v1.RESTART_MODE_UNSPECIFIED, grace_period=_duration(grace)
        )
        return client.resources.RestartResource(request).resource

    _each(ctx, output, ids, one)


def pause(ctx: typer.Context, ids: Ids, output: Output = None) -> None:
    """Freeze what runs, in memory."""

    def one(client: Client, id: str) -> v1.Resource:
        return client.resources.PauseResource(v1.PauseResourceRequest(id=id)).resource

    _each(ctx, output, ids, one)


def resume(ctx: typer.Context, ids: Ids, output: Output = None) -> None:
    """Let what is paused go on."""

    def one(client: Client, id: str) -> v1.Resource:
        return client.resources.ResumeResource(v1.ResumeResourceRequest(id=id)).resource

    _each(ctx, output, ids, one)


def rm(
    ctx: typer.Context,
    *,
    ids: Ids,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Also what runs; it is ended by force.")
    ] = False,
    snapshots: Annotated[
        bool, typer.Option("--snapshots", help="VMs: delete the snapshots too.")
    ] = False,
    saved_state: Annotated[
        bool, typer.Option("--saved-state", help="VMs: delete the saved state too.")
    ] = False,
    keep_volumes: Annotated[
        bool, typer.Option("--keep-volumes", help="Keep the volumes that were made for it.")
    ] = False,
    missing_ok: Annotated[
        bool, typer.Option("--missing-ok", help="What is not there is no error.")
    ] = False,
    ignore_unreadable: IgnoreUnreadable = None,
    etag: Etag = "",
    output: Output = None,
) -> None:
    """Delete containers and virtual machines."""
    session = Session.of(ctx, output)
    with session.connect() as client:

        def one(id: str) -> v1.Resource | None:
            request = v1.DeleteResourceRequest(
                id=id,
                force=force,
                delete_snapshots=snapshots,
                delete_saved_state=saved_state,
                keep_volumes=keep_volumes,
                allow_missing=missing_ok,
                etag=etag,
                ignore_unreadable=ignore_unreadable,
            )
            response = client.resources.DeleteResource(request)
            return response.resource if response.HasField("resource") else None

        session.each(ids, one, lambda resource: [resource.name])


def prune(
    ctx: typer.Context,
    *,
    label: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Only with this label.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Do not ask.")] = False,
    host: Host = "",
    output: Output = None,
) -> None:
    """Delete all stopped containers."""
    session = Session.of(ctx, output)
    request = v1.PruneContainersRequest(labels=pairs(label), host=host)
    if not force and not session.wish.dry_run:
        typer.confirm("Delete all stopped containers that match?", abort=True, err=True)
    with session.connect() as client:
        response = client.containers.PruneContainers(request)
    if session.as_json:
        write_message(response)
        return
    for id in response.container_ids:
        write_line(id[:12])
    write_line(f"Freed {human_size(response.reclaimed_bytes)}.", err=True)
