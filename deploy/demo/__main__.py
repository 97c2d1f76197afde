"""`make demo`: the main use case, step by step, on the real engines of this host.

Starts a daemon of its own on a free port with a state folder of its own, logs in, and
takes a container and a virtual machine through their life cycles. On a host with one engine
it shows that engine's kind and reports what it leaves out. Exits with 0 only if every step
has the expected outcome, and removes what it made in either case.
"""

import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import proa
from daemon import daemon
from kinds import GUEST_ISO, choose_kinds
from proa import v1
from report import Failed, console, say, step, wait_for
from scenario import Scenario


def answers(client: proa.Client) -> bool:
    """Return whether the daemon answers."""
    try:
        client.auth.GetCaller(v1.GetCallerRequest())
    except proa.Unavailable:
        return False
    return True


def run(client: proa.Client, viewer: proa.Client) -> None:
    """Log in and run the scenario."""
    step("Log in  (AuthService/CreateToken, a JWT for 30 minutes)")
    wait_for("the daemon", 60, lambda: answers(client))
    caller = client.auth.GetCaller(v1.GetCallerRequest())
    scopes = [v1.Scope.Name(s).removeprefix("SCOPE_").lower() for s in caller.scopes]
    say(f"I am {caller.username}, my token allows: {', '.join(scopes)}")
    scenario = Scenario(client, viewer, choose_kinds(client))
    try:
        scenario.run()
    finally:
        scenario.clean_up()


def main() -> int:
    """Run the demo, and return its exit code."""
    started = time.monotonic()
    home = Path(tempfile.mkdtemp(prefix="proa-demo-"))
    passwords = {
        "ada": (secrets.token_urlsafe(12), ["basic", "advanced"]),
        "viewer": (secrets.token_urlsafe(12), ["basic"]),
    }
    try:
        step("Two users and a daemon with a state folder of its own")
        with daemon(home, passwords, media_dir=GUEST_ISO.resolve().parent) as address:
            timeout = timedelta(minutes=4)
            with (
                proa.connect(
                    address, username="ada", password=passwords["ada"][0], timeout=timeout
                ) as client,
                proa.connect(
                    address, username="viewer", password=passwords["viewer"][0], timeout=timeout
                ) as viewer,
            ):
                run(client, viewer)
    except (Failed, proa.Error, subprocess.SubprocessError) as error:
        console.print("\n[bold red]✗ the demo failed:[/] ", end="")
        console.print(str(error), markup=False)
        return 1
    finally:
        shutil.rmtree(home, ignore_errors=True)
    console.print(
        f"\n[bold green]✓ every step had the expected outcome[/], in {time.monotonic() - started:.0f} s\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
