"""What all commands that change something have in common: --dry-run and --request-id.

A dry run ends where the command's first call that changes something would: the call is made with
`validate_only`, so that it fails as it would, and what it would do is printed.
"""

import inspect
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any

import typer

import proa
from proa import v1
from proa.cli.exits import Exit
from proa.cli.output import as_dict, leaves, write_json, write_line, write_table, write_warning
from proa.cli.tables import Column
from proa.cli.text import human_size, word

_KEY = "proa.cli.changing"
_SERVICES = ("resources", "containers", "images", "domains", "snapshots", "volumes", "files")

# What each call does, with its request.
_WOULD: Mapping[str, str] = {
    "StartResource": "start {0.id}",
    "StopResource": "stop {0.id}",
    "RestartResource": "restart {0.id}",
    "PauseResource": "pause {0.id}",
    "ResumeResource": "resume {0.id}",
    "DeleteResource": "delete {0.id}",
    "UpdateResource": "update {0.id}",
    "RecreateContainer": "make {0.id} again",
    "CreateContainer": "create container {0.spec.name} from {0.spec.image}",
    "PruneContainers": "delete all stopped containers that match",
    "CreateDomain": "create virtual machine {0.spec.name}",
    "CreateDomainFromXml": "create a virtual machine from the XML",
    "CreateSnapshot": "take snapshot {0.name} of {0.id}",
    "RevertSnapshot": "take {0.id} back to snapshot {0.name}",
    "DeleteSnapshot": "delete snapshot {0.name} of {0.id}",
    "CreateVolume": "create volume {0.spec.name}",
    "DeleteVolume": "delete volume {0.name}",
    "PullImage": "pull {0.image}",
    "DeleteImage": "delete image {0.image}",
    "MakeDirectory": "make directory {0.path} in {0.id}",
    "RemoveFile": "remove {0.path} in {0.id}",
    "LogoutRegistry": "forget the login at {0.registry}",
}
_EFFECTS: Mapping[v1.ChangeEffect.ValueType, str] = {
    v1.CHANGE_EFFECT_LIVE: "at once",
    v1.CHANGE_EFFECT_RESTART: "at the next start",
    v1.CHANGE_EFFECT_RECREATE: "when it is made again",
}
_COLUMNS = (Column("FIELD"), Column("TAKES EFFECT"))
_REMOVALS = (Column("NAME"), Column("ID"), Column("SIZE"))


@dataclass(frozen=True)
class Wish:
    """How the calls of a command that change something are to be made.

    Attributes:
        dry_run: only check them.
        request_id: the id of the one call; empty: none.
    """

    dry_run: bool = False
    request_id: str = ""

    @classmethod
    def of(cls, ctx: typer.Context) -> "Wish":
        """Return what the options of the command say."""
        wish: Wish = ctx.meta.get(_KEY, cls())
        return wish

    def applied(self, client: proa.Client, command: str, *, as_json: bool) -> proa.Client:
        """Return the client, whose calls are made like that from now on."""
        for service in _SERVICES if self != Wish() else ():
            stub = _Stub(getattr(client, service), self, command, as_json=as_json)
            setattr(client, service, stub)
        return client


def _request_id(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise typer.BadParameter("must be a UUID, such as uuidgen prints") from None


_OPTIONS = (
    inspect.Parameter(
        "dry_run",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[
            bool, typer.Option("--dry-run", help="Only check, and say what would be done.")
        ],
    ),
    inspect.Parameter(
        "request_id",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            str | None,
            typer.Option(
                parser=_request_id,
                metavar="UUID",
                help="Done once, however often it is repeated with this id, which is new at first.",
            ),
        ],
    ),
)


def changing(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that changes something the options --dry-run and --request-id."""

    @wraps(command)
    def run(ctx: typer.Context, *, dry_run: bool, request_id: str | None, **given: Any) -> None:
        if dry_run and request_id:
            raise typer.BadParameter("--dry-run does nothing that --request-id could name")
        ctx.meta[_KEY] = Wish(dry_run, request_id or "")
        command(ctx, **given)

    signature = inspect.signature(command)
    parameters = [*signature.parameters.values(), *_OPTIONS]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = command.__annotations__ | {
        each.name: each.annotation for each in _OPTIONS
    }
    return run


class DryRun(Exception):  # noqa: N818 - no error, but the end of a command
    """A call that was only checked, and has passed.

    Attributes:
        method: the name of the method.
        request: its request.
        as_json: whether it is to be written for programs.
        plan: what it would do; None: no more than its name says.
    """

    def __init__(self, method: str, request: Any, response: Any, *, as_json: bool) -> None:
        super().__init__(method)
        self.as_json = as_json
        self.method = method
        self.request = request
        told = "plan" in response.DESCRIPTOR.fields_by_name and response.HasField("plan")
        self.plan: v1.Plan | None = response.plan if told else None

    @property
    def text(self) -> str:
        """What would be done, in one line."""
        would = " ".join(f"would {_WOULD[self.method]}".format(self.request).split())
        return (
            f"{would}, if it is there" if getattr(self.request, "allow_missing", False) else would
        )

    @property
    def exit(self) -> Exit:
        """The exit code: of an update that would be refused, that of the refusal."""
        changes = self.plan.changes if self.plan and self.method == "UpdateResource" else ()
        refused = any(each.effect == v1.CHANGE_EFFECT_RECREATE for each in changes)
        return Exit.WRONG_STATE if refused else Exit.OK

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        plan = {} if self.plan is None else as_dict(self.plan)
        return {"dry_run": self.text, "call": self.method, "plan": plan}

    def write(self) -> None:
        """Write it, as JSON or for people."""
        if self.as_json:
            write_json(self.as_dict(), indent=2)
        else:
            self._write()

    def _write(self) -> None:
        write_line(self.text)
        if self.plan is None:
            return
        if self.plan.changes:
            rows = ((each.field, _EFFECTS.get(each.effect, "")) for each in self.plan.changes)
            write_table(_COLUMNS, rows)
        if self.plan.removals:
            removals = (
                (each.name, each.id[:12], human_size(each.reclaimed_bytes))
                for each in self.plan.removals
            )
            write_table(_REMOVALS, removals)
            if (more := self.plan.removal_count - len(self.plan.removals)) > 0:
                write_line(f"and {more} more")
        if self.method == "PruneContainers":
            write_line(f"It would free {human_size(self.plan.reclaimed_bytes)}.", err=True)
        for field, value in self._filled_in().items():
            write_line(f"  {field}: {value}  (filled in)")
        if self.plan.may_fail:
            reasons = (v1.ErrorReason.Name(each) for each in self.plan.may_fail)
            write_line(f"It may fail all the same: {', '.join(map(_reason, reasons))}", err=True)
        if self.exit is not Exit.OK:
            write_warning("an update refuses what is to be made again; see proa recreate --help")

    def _filled_in(self) -> dict[str, str]:
        """Return what the daemon and the profile of the user fill in, by paths of fields."""
        if self.plan is None or not self.plan.HasField("container"):
            return {}
        asked, made = leaves(self.request.spec), leaves(self.plan.container)
        return {
            path: value
            for path, value in made.items()
            if not path.startswith("env_secret") and value != asked.get(path)
        }


def _reason(name: str) -> str:
    return word(v1.ErrorReason, name)


class _Stub:
    """A service whose calls that change something are made as is wished."""

    def __init__(self, stub: Any, wish: Wish, command: str, *, as_json: bool) -> None:
        self._stub = stub
        self._wish = wish
        self._command = command
        self._as_json = as_json

    def __getattr__(self, method: str) -> Any:
        call = getattr(self._stub, method)

        def made(request: Any, **settings: Any) -> Any:
            if method not in _WOULD:
                return call(request, **settings)
            if not self._wish.dry_run:
                # An image that is pulled first is no part of what happens once.
                if method != "PullImage" or self._command == "pull":
                    request.request_id = self._wish.request_id
                return call(request, **settings)
            request.validate_only = True
            answered = call(request, **settings)
            response = next(iter(answered)) if method == "PullImage" else answered
            raise DryRun(method, request, response, as_json=self._as_json)

        return made
