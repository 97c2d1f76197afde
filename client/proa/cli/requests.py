"""requests: ls, show, cancel."""

from datetime import UTC
from typing import Annotated

import typer

from proa import v1
from proa.cli.output import write_fields, write_message, write_messages, write_table
from proa.cli.session import NoTrunc, Output, Session
from proa.cli.tables import Column
from proa.cli.text import age, one_of, word, words

app = typer.Typer(
    help="Your own calls that carried a request id; alone, lists them.",
    invoke_without_command=True,
)

RequestId = Annotated[str, typer.Argument(metavar="REQUEST_ID", help="The id of the call.")]
State = Annotated[
    list[v1.RequestState.ValueType] | None,
    typer.Option(
        "--state",
        parser=one_of(v1.RequestState),
        metavar="STATE",
        help=f"Only calls in this state, of {words(v1.RequestState)}; may be repeated.",
    ),
]

_COLUMNS = (
    Column("REQUEST ID"),
    Column("CALL", rank=1, least=16),
    Column("STATE", rank=2),
    Column("BEGAN", rank=4),
    Column("RESOURCE", rank=3, least=20),
    Column("REASON", rank=5, least=12),
)


@app.callback()
def requests(
    ctx: typer.Context, *, state: State = None, no_trunc: NoTrunc = False, output: Output = None
) -> None:
    """List your own calls that carried a request id."""
    if ctx.invoked_subcommand is None:
        ls(ctx, state=state, no_trunc=no_trunc, output=output)


@app.command()
def ls(
    ctx: typer.Context, *, state: State = None, no_trunc: NoTrunc = False, output: Output = None
) -> None:
    """List calls of the last 24 hours, newest first."""
    session = Session.of(ctx, output)
    with session.connect() as client:
        found = list(client.list_requests(state or ()))
    if session.as_json:
        write_messages(found)
        return
    rows = (
        (
            request.request_id,
            request.method_name.rpartition("/")[2],
            _state(request),
            f"{age(request.start_time.ToDatetime(UTC))} ago",
            request.path,
            _reason(request),
        )
        for request in found
    )
    write_table(_COLUMNS, rows, whole=no_trunc)


@app.command()
def show(ctx: typer.Context, *, id: RequestId, output: Output = None) -> None:
    """Show what became of a call."""
    session = Session.of(ctx, output)
    with session.connect() as client:
        request = client.operations.GetRequest(v1.GetRequestRequest(request_id=id)).request
    if session.as_json:
        write_message(request)
    else:
        write_fields(request)


@app.command()
def cancel(
    ctx: typer.Context,
    *,
    ids: Annotated[list[str], typer.Argument(metavar="REQUEST_ID...", help="Ids of calls.")],
    output: Output = None,
) -> None:
    """End calls that wait: pulls, graceful stops and restarts."""
    session = Session.of(ctx, output)
    with session.connect() as client:

        def one(id: str) -> v1.Request:
            request = v1.CancelRequestRequest(request_id=id)
            return client.operations.CancelRequest(request).request

        session.each(ids, one, lambda request: [f"{request.request_id} {_state(request)}"])


def _state(request: v1.Request) -> str:
    return word(v1.RequestState, v1.RequestState.Name(request.state))


def _reason(request: v1.Request) -> str:
    if not request.HasField("failure"):
        return ""
    return word(v1.ErrorReason, v1.ErrorReason.Name(request.failure.reason))
