"""`proad`: the daemon and its administration on the host.

Exit codes: 0 for success; 1 for a failure, with one line on standard error; 2 for wrong usage or
wrong settings.
"""

import sys


def main() -> None:
    """Run the command line, or name the extra that is not installed."""
    try:
        from proad.commands.root import run

        run()
    except ModuleNotFoundError as error:
        if (error.name or "proad").partition(".")[0] in {"proa", "proad"}:
            raise
        sys.exit(
            f"proad: the extra 'server' is not installed (no module {error.name}); "
            "install it with: pip install 'proa[server]'"
        )


if __name__ == "__main__":
    main()
