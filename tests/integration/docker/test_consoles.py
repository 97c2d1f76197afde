"""The main processes of real containers, as callers are attached to them."""

from collections.abc import AsyncIterator
from typing import Any

import docker
import pytest

from contract.consoles import Terminal
from eventually import consistently, eventually, settled
from integration.docker.workloads import IMAGE, Make
from proad.drivers.docker import DockerDriver
from proad.model import (
    CommandExit,
    ConsoleOptions,
    Lifetime,
    ResourceState,
    RestartPolicy,
    RestartPolicyMode,
)

pytestmark = pytest.mark.docker


@pytest.fixture
async def once(raw: docker.APIClient, token: str) -> AsyncIterator[str]:
    """A container whose input ends with its caller, as by docker run -i."""
    how: dict[str, Any] = {"stdin_open": True, "name": f"{token}-once"}
    made = raw.create_container(IMAGE, ["cat"], **how)["Id"]
    config = raw.inspect_container(made)["Config"]
    raw.start(made)
    assert config["StdinOnce"]
    yield made
    raw.remove_container(made, force=True, v=True)


async def said_by(console: Any) -> bytes:
    return b"".join([output.data async for output in console.output()])


async def test_input_of_a_container_for_one_caller_ends_when_that_says_so(
    driver: DockerDriver, once: str
):
    async with driver.attach(once) as console:
        assert console.stdin_once
        await console.write(b"all of it")
        await console.end_input()
        assert await said_by(console) == b"all of it"
        assert await console.exit() == CommandExit(code=0)


async def test_input_of_a_container_for_one_caller_goes_on_for_one_who_takes_none(
    driver: DockerDriver, once: str
):
    async with driver.attach(once, ConsoleOptions(stdin=False)) as console:
        assert not console.stdin_once

    async def runs() -> bool:
        return (await driver.get_resource(once)).state is ResourceState.RUNNING

    await consistently(runs, during=0.5)


async def test_exit_of_a_container_that_is_started_again_is_the_one_that_ended(
    driver: DockerDriver, make: Make
):
    policy = RestartPolicy(mode=RestartPolicyMode.ALWAYS)
    made = await make("sh", stdin_open=True, restart_policy=policy)
    async with driver.attach(made.id) as console:
        await console.write(b"exit 7\n")
        await said_by(console)

        async def again() -> bool:
            now = (await driver.get_resource(made.id)).container
            return now is not None and now.restart_count > 0

        await eventually(again)
        assert await console.exit() == CommandExit(code=7)


async def test_exit_of_a_container_that_is_gone_is_known(driver: DockerDriver, make: Make):
    made = await make("sh", stdin_open=True, lifetime=Lifetime.TRANSIENT)
    async with driver.attach(made.id) as console:
        await console.write(b"exit 9\n")
        await said_by(console)

        async def gone() -> bool:
            return all(each.id != made.id for each in await driver.list_resources())

        await eventually(gone)
        assert await console.exit() == CommandExit(code=9)


async def test_container_that_closes_its_outputs_is_waited_for(driver: DockerDriver, make: Make):
    made = await make("sh", "-c", "read x; exec >&- 2>&-; sleep 1; exit 5", stdin_open=True)
    async with driver.attach(made.id) as console:
        await console.write(b"\n")
        await said_by(console)
        assert await console.exit() == CommandExit(code=5)


async def test_detach_keys_of_docker_reach_the_program(driver: DockerDriver, make: Make):
    made = await make(
        "sh", "-c", "stty raw -echo; echo ready; od -An -tx1 -N4 -v", tty=True, stdin_open=True
    )
    async with driver.attach(made.id) as console:
        terminal = Terminal(console)
        await console.write(b"\x10\x11\x03\x1d")
        await terminal.hear(rb"10 11 03 1d")


async def test_ctrl_c_interrupts_what_runs(driver: DockerDriver, make: Make):
    made = await make("sh", tty=True, stdin_open=True)
    async with driver.attach(made.id) as console:
        terminal = Terminal(console)
        await terminal.shell()
        await console.write(b"sleep 1000\r")
        await terminal.hear(rb"sleep 1000\r\n")
        await terminal.press(b"\x03", rb"# ")
        await terminal.run(b"echo code $?", b"code 130")


async def test_caller_who_does_not_read_holds_the_container_up_until_that_ends(
    driver: DockerDriver, raw: docker.APIClient, make: Make
):
    made = await make("sh", "-c", "read x; seq 1 1000000; echo done; sleep 1000", stdin_open=True)

    def last() -> bytes:
        return bytes(raw.logs(made.id, tail=1)).strip()

    async with driver.attach(made.id) as console:
        await console.write(b"\n")
        assert await settled(last) != b"done"

    async def over() -> bool:
        return last() == b"done"

    await eventually(over)
