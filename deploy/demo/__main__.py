"""`make demo`: the main job, step by step, on this host's real engines.

Starts a daemon of its own on a free port with a state folder of its own, logs in,
and takes one container and one virtual machine through their lives. With one engine
only it shows that one's kind and says what it leaves out. Exits with 0 only if every
step came out as told, and leaves nothing behind either way.
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
from casting import GUEST_ISO, choose_kinds
from proa import v1
from stage import Failed, console, daemon, say, step, wait_for
from story import Story


def answers(client: proa.Client) -> bool:
    """Return whether the daemon is up."""
    try:
        client.auth.GetCaller(v1.GetCallerRequest())
    except proa.Unavailable:
        return False
    return True


def play(client: proa.Client, viewer: proa.Client) -> None:
    """Log in and tell the story."""
    step("Log in  (AuthService/CreateToken, a JWT for 30 minutes)")
    wait_for("the daemon", 60, lambda: answers(client))
    caller = client.auth.GetCaller(v1.GetCallerRequest())
    scopes = [v1.Scope.Name(s).removeprefix("SCOPE_").lower() for s in caller.scopes]
    say(f"I am {caller.username}, my token allows: {', '.join(scopes)}")
    story = Story(client, viewer, choose_kinds(client))
    try:
        story.tell()
    finally:
        story.clean_up()


def main() -> int:
    """Tell the whole story; return 0 if it came out well."""
    started = time.monotonic()
    home = Path(tempfile.mkdtemp(prefix="proa-demo-"))
    passwords = {
        "ada": (secrets.token_urlsafe(12), ["basic", "advanced"]),
        "viewer": (secrets.token_urlsafe(12), ["basic"]),
    }
    try:
        step("Two users and a daemon with a state folder of its own")
        with daemon(home, passwords, media_dir=GUEST_ISO.resolve().parent) as address:
            patience = timedelta(minutes=4)
            with (
                proa.connect(
                    address, username="ada", password=passwords["ada"][0], timeout=patience
                ) as client,
                proa.connect(
                    address, username="viewer", password=passwords["viewer"][0], timeout=patience
                ) as viewer,
            ):
                play(client, viewer)
    except (Failed, proa.Error, subprocess.SubprocessError) as error:
        console.print("\n[bold red]✗ the demo failed:[/] ", end="")
        console.print(str(error), markup=False)
        return 1
    finally:
        shutil.rmtree(home, ignore_errors=True)
    console.print(f"\n[bold green]✓ all of it was so[/], in {time.monotonic() - started:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
