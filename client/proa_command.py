"""The command `proa`, before anything of it imports gRPC."""

import os
import sys

# proa.cli.exits has it, too, which cannot be imported while a module is being imported.
_INTERRUPTED = 130


def main() -> None:
    """Run the command line; the entry point of `proa`."""
    # Keep gRPC's own log lines out of standard error, such as one for each connection that was idle
    # for long. gRPC reads this once, when it is imported, as the package `proa` does.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        from proa.cli import main as run

        run()
    except KeyboardInterrupt:  # before the command line heeds it: imports take their time
        sys.exit(_INTERRUPTED)
