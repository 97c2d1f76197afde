"""The command `proa`."""

import sys


def main() -> None:
    """Run the command line, as `proa_command` does."""
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
