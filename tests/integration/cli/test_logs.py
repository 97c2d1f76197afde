"""Logs through the clients and the command line, on a daemon of their own."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import proa
from eventually import wait_until
from integration.cli.pseudo_terminal import PseudoTerminal
from proa import v1

MINE: dict[str, Any] = {"username": "ada", "password": "correct horse"}
# Lines that come over several lives of a token.
NUMBERS = [b"%d" % each for each in range(30)]
SLOW = "; ".join(f"echo {each}; sleep 0.5" for each in range(30))


@pytest.fixture
def make(ann, name):
    """Makes a container that runs a script, and waits for its end."""
    made: list[str] = []

    def make(script, *options, ends=True):
        made.append(f"{name}-{len(made)}")
        ann.ok("run", "--name", made[-1], *options, "debian:12", "sh", "-c", script)
        if ends:
            ann.ok("wait", made[-1], "--state", "stopped")
        return made[-1]

    yield make
    for each in made:
        ann.ok("rm", "--force", "--missing-ok", each)


def test_logs_writes_both_outputs_as_they_are(ann, make):
    box = make("echo out; echo err >&2; head -c 3 /dev/zero; exit 3")
    result = ann.run("logs", "--follow", box)
    assert (result.stdout, result.stderr, result.exit_code) == ("out\n\0\0\0", "err\n", 0)
    assert ann.ok("logs", "-n", "1", box) == "\0\0\0"
    assert ann.ok("logs", "--tail", "0", box) == ""
    assert ann.ok("logs", "--tail", "all", box) == "out\n\0\0\0"


def test_logs_has_times_as_docker_writes_them(ann, make):
    box = make("echo out")
    time, _, text = ann.ok("logs", "-t", box).partition(" ")
    assert text == "out\n"
    assert datetime.now(UTC) - datetime.fromisoformat(time) < timedelta(minutes=5)
    assert ann.ok("logs", "--since", "1h", box) == "out\n"
    assert ann.ok("logs", "--since", time, box) == "out\n"
    assert ann.ok("logs", "--until", "1h", box) == ""
    assert ann.ok("logs", "--since", "2100-01-01T00:00:00Z", box) == ""


def test_logs_as_json_are_objects_on_lines(ann, make):
    box = make("echo out; echo err >&2")
    lines = [json.loads(line) for line in ann.ok("logs", "-o", "json", box).splitlines()]
    assert lines == [{"text": "out", "output": "stdout"}, {"text": "err", "output": "stderr"}]


@pytest.mark.parametrize("options", [("--tail", "-1"), ("--tail", "many"), ("--since", "soon")])
def test_logs_with_a_bad_option_is_refused(ann, options):
    assert options[1] in ann.fails(2, "logs", *options, "web")


def test_log_of_a_virtual_machine_tells_no_times(ann, name):
    ann.ok("vm", "create", name, "--memory", "64MiB", "--disk", "1GiB", "--start")
    assert name in ann.ok("logs", name)
    assert "CAPABILITY_MISSING" in ann.fails(
        ann.run("logs", "-t", name).exit_code, "logs", "-t", name
    )
    ann.ok("rm", "--force", name)


def test_bad_end_is_told_with_its_last_lines(ann, make):
    box = make("echo first; echo last; exit 3")
    assert ann.json("get", box)["state_detail"]["last_lines"] == ["first", "last"]
    assert "last" in ann.ok("get", box)


@pytest.fixture
def begin(daemons):
    """Starts a daemon whose tokens live for so long, with a container "web" that writes slowly."""

    def begin(lifetime, script):
        daemon = daemons("--memory", PROA_TOKEN_LIFETIME=lifetime)
        spec = v1.ContainerSpec(image="debian:12", name="web", command=["sh", "-c", script])
        with daemon.client() as client:
            for _progress in client.images.PullImage(v1.PullImageRequest(image="debian:12")):
                pass
            client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec, start=True))
        return daemon

    return begin


def followed(address):
    """Follow a log to its end, by the synchronous client."""
    with proa.connect(address, **MINE) as client:
        return [line.data for line in client.logs("web", follow=True)]


async def followed_with_asyncio(address):
    """Follow a log to its end, by the asyncio client."""
    async with proa.aio.connect(address, **MINE) as client:
        return [line.data async for line in client.logs("web", follow=True)]


def test_log_is_followed_for_longer_than_two_tokens_live(begin):
    daemon = begin("5s", SLOW)
    with ThreadPoolExecutor() as pool:
        both = [
            pool.submit(followed, daemon.address),
            pool.submit(lambda: asyncio.run(followed_with_asyncio(daemon.address))),
        ]
        assert [each.result() for each in both] == [NUMBERS, NUMBERS]
    calls = [each for each in daemon.log() if str(each.get("method")).endswith("/StreamLogs")]
    assert [each["reason"] for each in calls].count("TOKEN_EXPIRED") >= 4


def test_log_with_a_fixed_token_ends_with_the_token(begin):
    daemon = begin("2s", "sleep 600")
    with daemon.client() as client:
        token = client.auth.CreateToken(v1.CreateTokenRequest(**MINE)).token
    with proa.connect(daemon.address, token=token) as client:
        lines = client.logs("web", follow=True)
        with pytest.raises(proa.Unauthenticated) as caught:
            next(lines)
    assert caught.value.reason == "TOKEN_EXPIRED"


def test_log_that_is_left_ends_its_call(begin):
    daemon = begin("30m", "echo a; sleep 600")
    with daemon.client() as client, client.logs("web", follow=True) as lines:
        assert next(lines).text == "a"

    def codes():
        calls = [each for each in daemon.log() if str(each.get("method")).endswith("/StreamLogs")]
        return [each["code"] for each in calls] == ["CANCELLED"]

    wait_until(codes)


def test_log_is_escaped_on_a_terminal_alone(begin):
    daemon = begin("30m", "echo '\x1b[31mred'; sleep 600")
    with daemon.client() as client:
        token = client.auth.CreateToken(v1.CreateTokenRequest(**MINE)).token
    variables = {"PROA_TARGET": daemon.address, "PROA_TOKEN": token}
    terminal = PseudoTerminal("logs", "-f", "web", variables=variables)
    try:
        terminal.until("\\x1b[31mred\r\n")
        terminal.type("\x03")
        assert terminal.end() == 130
    finally:
        terminal.close()
