"""images, pull, rmi, registry login and logout."""

from collections.abc import Iterable
from datetime import UTC
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, Task, TaskID, TextColumn
from rich.table import Column as ProgressColumn
from rich.text import Text

import proa
from proa import v1
from proa.cli import describe
from proa.cli.changing import changing
from proa.cli.output import make_console, write_line, write_message, write_messages, write_table
from proa.cli.session import Host, NoTrunc, Output, Session, read_password
from proa.cli.tables import Column
from proa.cli.text import age, escaped, human_size, pairs

_COLUMNS = (
    Column("IMAGE", least=16),
    Column("ID", rank=1),
    Column("CREATED", rank=3),
    Column("SIZE", rank=2),
)

registry = typer.Typer(help="Credentials for pulls.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("images")(images)
    app.command("pull")(changing(pull))
    app.command("rmi")(changing(rmi))


def images(
    ctx: typer.Context,
    *,
    reference: Annotated[str, typer.Argument(help='Only with such a name: "debian:*".')] = "",
    label: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Only with this label.")
    ] = None,
    host: Host = "",
    no_trunc: NoTrunc = False,
    output: Output = None,
) -> None:
    """List images, newest first."""
    session = Session.of(ctx, output)
    with session.connect() as client:
        found = list(client.list_images(reference, labels=pairs(label), host=host))
    if session.as_json:
        write_messages(found)
        return
    rows = (
        (
            ", ".join(image.tags) or "<none>",
            image.id if no_trunc else describe.short_image_id(image.id),
            f"{age(image.create_time.ToDatetime(UTC))} ago",
            human_size(image.size_bytes),
        )
        for image in found
    )
    write_table(_COLUMNS, rows, whole=no_trunc)


def pull(
    ctx: typer.Context,
    *,
    image: Annotated[str, typer.Argument(help="Name with an optional tag or digest.")],
    platform: Annotated[str, typer.Option(help="Such as linux/arm64; default: the host's.")] = "",
    host: Host = "",
    output: Output = None,
) -> None:
    """Pull an image from its registry."""
    session = Session.of(ctx, output)
    with session.connect() as client:
        pulled = pull_image(client, image, platform=platform, host=host, quiet=session.as_json)
    if session.as_json:
        write_message(pulled)
    else:
        write_line(pulled.id)


def pull_image(
    client: proa.Client, image: str, *, platform: str = "", host: str = "", quiet: bool
) -> v1.Image:
    """Pull an image, and show the progress on standard error if that is a terminal."""
    request = v1.PullImageRequest(image=image, platform=platform, host=host)
    console = make_console(err=True)
    shown = Progress(
        TextColumn("{task.fields[layer]}", markup=False, table_column=_whole_line()),
        TextColumn("{task.description}", markup=False, table_column=_whole_line()),
        BarColumn(bar_width=20),
        BytesColumn(binary_units=True, table_column=_whole_line()),
        console=console,
        disable=quiet or not console.is_terminal,
        # Remove the rows at the end, so that a message begins on a line of its own.
        transient=True,
    )
    with shown:
        return show_progress(client.images.PullImage(request), shown)


class BytesColumn(DownloadColumn):
    """Bytes done and in all; empty for a step without a count of bytes."""

    def render(self, task: Task) -> Text:
        """Render the column."""
        return super().render(task) if task.fields["counted"] else Text()


def _whole_line() -> ProgressColumn:
    return ProgressColumn(no_wrap=True, overflow="ellipsis")


def show_progress(events: Iterable[v1.PullImageResponse], shown: Progress) -> v1.Image:
    """Show the progress of a pull, a row per layer, and return the image."""
    layers: dict[str, TaskID] = {}
    pulled = v1.Image()
    for event in events:
        if event.WhichOneof("event") == "image":
            pulled = event.image
            continue
        step = event.progress
        if step.layer_id not in layers:
            layers[step.layer_id] = shown.add_task(
                "", total=None, layer=escaped(step.layer_id), counted=False
            )
        shown.update(
            layers[step.layer_id],
            description=escaped(step.status),
            completed=step.current_bytes if step.total_bytes else None,
            total=step.total_bytes or None,
            counted=bool(step.total_bytes),
        )
    return pulled


def rmi(
    ctx: typer.Context,
    *,
    names: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Names or ids.")],
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Also with several tags or stopped containers.")
    ] = False,
    host: Host = "",
    output: Output = None,
) -> None:
    """Delete images."""
    session = Session.of(ctx, output)
    with session.connect() as client:

        def one(image: str) -> v1.DeleteImageResponse:
            request = v1.DeleteImageRequest(image=image, force=force, host=host)
            return client.images.DeleteImage(request)

        def lines(response: v1.DeleteImageResponse) -> list[str]:
            untagged = [f"untagged {name}" for name in response.untagged]
            return [*untagged, *(f"deleted {id}" for id in response.deleted)]

        session.each(names, one, lines)


Registry = Annotated[
    str, typer.Argument(metavar="[REGISTRY]", help="HOST[:PORT]; default: Docker Hub.")
]


@registry.command("login")
def registry_login(
    ctx: typer.Context,
    *,
    name: Registry = "",
    username: Annotated[str, typer.Option("--username", "-u", help="User name.")] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    host: Host = "",
) -> None:
    """Let the daemon keep a registry's user name and password for pulls."""
    session = Session.of(ctx, None)
    if password_stdin and not username:
        # A prompt for the name would read from standard input, where the password comes from.
        raise typer.BadParameter("--password-stdin needs --username, too")
    username = username or typer.prompt("Username", err=True)
    password = read_password(from_stdin=password_stdin)
    request = v1.LoginRegistryRequest(
        registry=name, username=username, password=password, host=host
    )
    with session.connect() as client:
        client.images.LoginRegistry(request)


@registry.command("logout")
@changing
def registry_logout(ctx: typer.Context, name: Registry = "", host: Host = "") -> None:
    """Let the daemon forget a registry's user name and password."""
    session = Session.of(ctx, None)
    with session.connect() as client:
        client.images.LogoutRegistry(v1.LogoutRegistryRequest(registry=name, host=host))
