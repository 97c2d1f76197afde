"""What all commands share: the daemon, the output format, failures."""

import asyncio
import os
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from google.protobuf.message import Message

import proa
from proa.aio import client as aio
from proa.channels import Endpoint
from proa.cli import exits
from proa.cli.changing import DryRun, Wish
from proa.cli.invocation import Invocation
from proa.cli.output import Format, as_dict, write_json, write_line
from proa.cli.tokens import FileLogin, TokenFile
from proa.local_login import usual_socket

Output = Annotated[
    Format | None, typer.Option("--output", "-o", help="Form of the output.", show_default=False)
]
Ids = Annotated[
    list[str],
    typer.Argument(metavar="ID...", help="Ids, names, container/NAME or domain/NAME."),
]
Id = Annotated[str, typer.Argument(metavar="ID", help="Id, name, container/NAME or domain/NAME.")]
Host = Annotated[str, typer.Option(help="Host connection; default: the first one.")]
IgnoreUnreadable = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore-unreadable",
        metavar="NAME",
        help="Of whom it cannot be told whether it needs a volume, as the error names it.",
    ),
]
NoTrunc = Annotated[
    bool,
    typer.Option("--no-trunc", help="Whole ids and texts, however narrow the terminal is."),
]
Etag = Annotated[
    str, typer.Option(metavar="ETAG", help="Only if it has not changed since it had this etag.")
]
MessageT = TypeVar("MessageT", bound=Message)


@dataclass(frozen=True)
class Session:
    """The global options and the invocation of the command."""

    target: str
    tls: proa.TLS | None
    timeout: timedelta | None
    insecure: bool
    format: Format
    invocation: Invocation = field(default_factory=Invocation)
    wish: Wish = field(default_factory=Wish)

    @classmethod
    def of(cls, ctx: typer.Context, output: Format | None) -> "Session":
        """Return the session of a command, with the command's own output format."""
        session = ctx.find_object(Session)
        if session is None:
            raise TypeError("the root command makes a session before any other runs")
        invocation = Invocation.of(ctx, session.target, tls=session.tls is not None)
        return replace(
            session,
            invocation=invocation,
            wish=Wish.of(ctx),
            format=output or session.format,
        )

    @property
    def as_json(self) -> bool:
        """Whether the output format is JSON."""
        return self.format is Format.JSON

    def login_socket(self, path: str) -> str:
        """Return the path of the daemon's login socket; `path` if it is not empty."""
        endpoint = Endpoint(self.target, self.tls, self.insecure)
        return path or usual_socket(endpoint)

    @property
    def tokens(self) -> TokenFile:
        """The file of stored tokens."""
        return TokenFile.of_user()

    def connect(self) -> proa.Client:
        """Return a client with the credentials in the environment, or else the stored login."""
        token = os.environ.get("PROA_TOKEN")
        if not token and (key := _service_key()):
            return self.client(service_key=key)
        username = os.environ.get("PROA_USERNAME")
        if not token and username:
            password = os.environ.get("PROA_PASSWORD")
            if not password:
                raise ValueError("PROA_USERNAME is set without PROA_PASSWORD; set both, or neither")
            return self.client(username=username, password=password)
        return self.client(token=token or self.login)

    @property
    def login(self) -> FileLogin | None:
        """The stored login at the target; None without one."""
        stored = self.tokens.get(self.target)
        return None if stored is None else FileLogin(self.tokens, self.target)

    def client(
        self,
        *,
        token: str | FileLogin | None = None,
        username: str | None = None,
        password: str | None = None,
        service_key: str | None = None,
    ) -> proa.Client:
        """Return a client with the given credentials."""
        client = proa.connect(
            self.target,
            tls=self.tls,
            timeout=self.timeout,
            allow_insecure=self.insecure,
            token=token,
            username=username,
            password=password,
            service_key=service_key,
            # With an id, a pull or a graceful stop goes on after Ctrl-C.
            request_ids=bool(self.wish.request_id),
        )
        return self.wish.applied(client, self.invocation.command, as_json=self.as_json)

    def connect_async(self, client: proa.Client) -> aio.Client:
        """Return a client for asyncio with the credentials of another one."""

        async def token() -> str:
            return await asyncio.to_thread(client.token) or ""

        return aio.connect(
            self.target,
            tls=self.tls,
            timeout=self.timeout,
            allow_insecure=self.insecure,
            token=token,
            request_ids=False,
        )

    def each(
        self,
        ids: Iterable[str],
        call: Callable[[str], MessageT | None],
        lines: Callable[[MessageT], Iterable[str]],
    ) -> None:
        """Call for each id, continue after a failure, and exit with its code at the end."""
        ids = [*ids]
        if self.wish.request_id and len(ids) > 1:
            raise typer.BadParameter("--request-id is the id of one call; name one thing at a time")
        done: list[dict[str, Any]] = []
        codes: set[exits.Exit] = set()
        for id in ids:
            try:
                done += self._shown(call, id, lines)
            except proa.Error as error:
                exits.report(error, self.invocation.about(id), as_json=self.as_json)
                codes.add(exits.code_for(error))
        if self.as_json:
            write_json(done, indent=2)
        if codes:
            raise typer.Exit(codes.pop() if len(codes) == 1 else exits.Exit.OTHER)

    def _shown(
        self,
        call: Callable[[str], MessageT | None],
        id: str,
        lines: Callable[[MessageT], Iterable[str]],
    ) -> list[dict[str, Any]]:
        """Call for an id, and write what came of it; return that for JSON."""
        try:
            result = call(id)
        except DryRun as run:
            if not self.as_json:
                run.write()
            return [run.as_dict()]
        if result is None:
            return []
        for line in () if self.as_json else lines(result):
            write_line(line)
        return [as_dict(result)]


def open_session(
    target: str | None,
    output: Format,
    tls: proa.TLS | None,
    timeout: timedelta | None,
    *,
    insecure: bool,
) -> Session:
    """Return the session of the global options."""
    endpoint = Endpoint.of(target, tls=tls, allow_insecure=insecure)
    return Session(endpoint.target, tls, timeout, insecure, output)


def _service_key() -> str | None:
    """Return the key in PROA_SERVICE_KEY, or in the file that PROA_SERVICE_KEY_FILE names."""
    if key := os.environ.get("PROA_SERVICE_KEY"):
        return key
    path = os.environ.get("PROA_SERVICE_KEY_FILE")
    try:
        return Path(path).read_text(encoding="utf-8").strip() if path else None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"PROA_SERVICE_KEY_FILE: {error}") from error


def read_password(*, from_stdin: bool) -> str:
    """Prompt for a password, or read it from standard input without one line end."""
    if from_stdin:
        try:
            text = sys.stdin.buffer.read().decode()
        except UnicodeDecodeError:
            raise typer.BadParameter("the password must be valid UTF-8") from None
        return re.sub(r"(\r\n|\r|\n)\Z", "", text)
    password: str = typer.prompt("Password", hide_input=True, err=True)
    return password
