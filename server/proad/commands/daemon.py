"""`proad serve`, `proad reload`, `proad init`, `proad check-config`: the daemon and its host."""

import os
from typing import Annotated

import typer

from proad.auth.keys import KeyRing
from proad.commands.audited import audited_by_daemon
from proad.commands.database import change_database, run_on_database
from proad.commands.options import Config
from proad.config import as_toml, example, load_settings
from proad.control import ask_to_reload
from proad.logs import configure_logs
from proad.store.database import Database
from proad.tls import read_client_trust, read_tls


def serve(
    *,
    config: Config = None,
    memory: Annotated[
        bool, typer.Option("--memory", help="Serve pretended resources, without any engine.")
    ] = False,
) -> None:
    """Run the daemon until SIGTERM or Ctrl-C."""
    config = config and config.absolute()  # where a reload finds it
    settings = load_settings(config)
    configure_logs(settings.log_format, settings.log_level)
    # Any other level writes lines, in a format of gRPC's own, for handshakes that fail or records
    # that cannot be read, with which strangers could fill a disk. Faults end the process with a
    # line even so.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # libvirt forks transports, such as ssh, in this process. The children only execute another
    # program, so that gRPC need not stop its threads and write a line for them.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    # Imports gRPC and the engines' SDKs, which the other commands do not need.
    import uvloop

    from proad import process

    # The standard library's loop takes about a tenth longer for every call.
    uvloop.run(process.run(settings, lambda: load_settings(config), memory=memory))


def reload(*, config: Config = None) -> None:
    """Let the running daemon take over changed certificates and settings, all or none.

    The daemon reads the file and the variables that it was started with. What it can take over
    only when it is restarted is named.
    """
    state_dir = load_settings(config).state_dir
    with audited_by_daemon(state_dir, "proad reload", ""):
        changed, restart = ask_to_reload(state_dir)
    typer.echo(f"reloaded; changed settings: {', '.join(changed) or 'none'}")
    if restart:
        typer.echo(f"not in force before the daemon is restarted: {', '.join(restart)}")


def init(
    *,
    config: Config = None,
    rotate_key: Annotated[
        bool,
        typer.Option(
            "--rotate-key",
            help="Make a new key for tokens. The one before stays good, older ones do not.",
        ),
    ] = False,
) -> None:
    """Make the state folder, the first key and the database. Changes nothing that is there."""
    settings = load_settings(config)

    async def rotate(_database: Database) -> None:
        ring = KeyRing.rotate(settings.keys_dir)
        typer.echo(f"new key {ring.newest.id}; a running daemon takes it when it is restarted")

    run_on_database(settings, _nothing)
    if rotate_key:
        change_database(settings, "proad init --rotate-key", "", rotate)
    typer.echo(f"ready in {settings.state_dir}; add users with 'proad user add'")


async def _nothing(_database: Database) -> None:
    """Leave the database as it is."""


def check_config(
    *,
    config: Config = None,
    show_example: Annotated[
        bool, typer.Option("--example", help="Print a commented file with all settings instead.")
    ] = False,
) -> None:
    """Read the settings and print them as they count, as a file, or say what is wrong with them."""
    if show_example:
        typer.echo(example(), nl=False)
        return
    settings = load_settings(config)
    if settings.tls is not None:
        read_tls(settings.tls)
        read_client_trust(settings.tls)
    typer.echo(as_toml(settings), nl=False)
