"""The command `proa`."""

import os
import sys


def main() -> None:
    """Run the command line; the entry point of `proa`."""
    # Keep gRPC's own log lines out of standard error.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        from proa.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich"}:
            raise
        sys.exit(
            f"proa: the extra 'cli' is not installed (no module {error.name}); "
            "install it with: pip install 'proa[cli]'"
        )
    app()
