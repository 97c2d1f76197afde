"""`proad`: the daemon and what manages it on its host.

Exit codes: 0 done; 1 could not be done, one line on standard error says why; 2 wrong
usage or wrong settings.
"""

import sys


def main() -> None:
    """Run the command line, or say which extra is not installed."""
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
