"""Obligations of `Consoles`."""

import asyncio
import re
from typing import Any

import pytest

from contract.containers import IMAGE
from contract.harness import FORCE, DriverHarness
from eventually import consistently
from proad.errors import (
    CapabilityMissingError,
    InUseError,
    InvalidArgumentError,
    ResourceNotRunningError,
    StateError,
)
from proad.model import (
    CommandExit,
    ConsoleOptions,
    ContainerSpec,
    Resource,
    ResourceKind,
    ResourceState,
    ResourceView,
    TerminalSize,
)
from proad.ports import Console, Consoles

# A busy guest may lose what is typed.
_SILENCE = 5.0
_ATTEMPTS = 20
# BusyBox's shell asks the terminal where its cursor is.
_PROMPTS = re.compile(rb"(?P<shell>[#$] (\x1b\[6n)?)$|login: $|Password: $")


def attach(harness: DriverHarness, resource: Resource, **how: Any):
    """Return the block of an attachment."""
    assert isinstance(harness.driver, Consoles)
    return harness.driver.attach(resource.id, ConsoleOptions(**how))


class Terminal:
    """A console with what it said, and somebody who types."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.said = b""
        self.ended = asyncio.create_task(self._read())
        self._changed = asyncio.Event()

    async def _read(self) -> None:
        async for output in self.console.output():
            assert 0 < len(output.data) <= 64 * 2**10
            self.said += output.data
            self._changed.set()
        self._changed.set()

    async def hear(self, what: bytes, *, after: int = 0, within: float = 60) -> int:
        """Wait until something was said; return how much was said with it."""
        try:
            async with asyncio.timeout(within):
                while not (found := re.compile(what).search(self.said, after)):
                    assert not self.ended.done(), self.said
                    self._changed.clear()
                    await self._changed.wait()
                return found.end()
        except TimeoutError as error:
            raise TimeoutError(f"not {what!r}, but {self.said[after:]!r}") from error

    async def press(self, keys: bytes, what: bytes) -> None:
        """Press keys until something is said: nobody may read them yet."""
        before = len(self.said)
        for _attempt in range(_ATTEMPTS):
            await self.console.write(keys)
            try:
                await self.hear(what, after=before, within=_SILENCE)
            except TimeoutError:
                continue
            return
        raise AssertionError(self.said)

    async def shell(self) -> None:
        """Press Enter, and log in if need be, until there is the prompt of a shell."""
        for _attempt in range(_ATTEMPTS):
            if (found := _PROMPTS.search(self.said)) and found["shell"]:
                return
            before = len(self.said)
            await self.console.write(b"\r" if not found else b"root\r")
            try:
                await self.hear(_PROMPTS.pattern, after=before + 1, within=_SILENCE)
            except TimeoutError:
                continue
        raise AssertionError(self.said)

    async def run(self, line: bytes, what: bytes) -> None:
        """Type a line, and wait for a line that it makes, and the next prompt."""
        before = len(self.said)
        await self.console.write(line + b"\r")
        await self.hear(rb"\n" + what + rb"\r?\n[^$#]*[#$] ", after=before)


async def with_console(harness: DriverHarness, **fields: Any) -> Resource:
    """Return a running resource with a shell, or a login, on its console."""
    if harness.kind is ResourceKind.DOMAIN:
        return await harness.running()
    how = {"command": ("sh",), "stdin_open": True, "tty": True, **fields}
    spec = ContainerSpec(image=IMAGE, name=harness.new_name(), **how)
    return (await harness.containers.create_container(spec, start=True)).resource


async def state_of(harness: DriverHarness, resource: Resource) -> ResourceState:
    return (await harness.driver.get_resource(resource.id, ResourceView.SUMMARY)).state


class ConsolesContract:
    async def test_console_is_a_terminal_that_runs_what_is_typed(self, harness: DriverHarness):
        resource = await with_console(harness)
        async with attach(harness, resource) as console:
            assert (console.kind, console.tty, console.stdin) == (harness.kind, True, True)
            assert not console.stdin_once
            terminal = Terminal(console)
            await terminal.shell()
            await terminal.run(b"echo one two", b"one two")

    async def test_resource_goes_on_when_its_console_is_left(self, harness: DriverHarness):
        resource = await with_console(harness)
        for word in (b"one", b"two", b"three"):
            async with attach(harness, resource) as console:
                terminal = Terminal(console)
                await terminal.shell()
                await terminal.run(b"echo " + word, word)
        assert await state_of(harness, resource) is ResourceState.RUNNING

    async def test_console_without_input_tells_what_comes(self, harness: DriverHarness):
        resource = await with_console(harness)
        async with attach(harness, resource, stdin=False) as console:
            assert not console.stdin
            assert await state_of(harness, resource) is ResourceState.RUNNING

    async def test_console_ends_with_the_run_of_its_resource(self, harness: DriverHarness):
        resource = await with_console(harness)
        async with attach(harness, resource) as console:
            terminal = Terminal(console)
            await harness.driver.stop(resource.id, FORCE)
            await asyncio.wait_for(terminal.ended, 60)
            exit = await console.exit()
        if harness.kind is ResourceKind.DOMAIN:
            assert exit is None
        else:
            assert exit == CommandExit(code=137)

    async def test_console_of_resource_that_does_not_run_is_refused(self, harness: DriverHarness):
        stopped = await harness.make()
        with pytest.raises(ResourceNotRunningError):
            async with attach(harness, stopped):
                pytest.fail("it is attached")
        paused = await harness.make(start=True)
        await harness.driver.pause(paused.id)
        with pytest.raises(StateError):
            async with attach(harness, paused):
                pytest.fail("it is attached")

    async def test_end_of_input_is_refused_where_the_engine_has_none(self, harness: DriverHarness):
        resource = await with_console(harness)
        async with attach(harness, resource) as console:
            with pytest.raises(CapabilityMissingError):
                await console.end_input()


class ContainerConsolesContract:
    async def test_terminal_of_container_has_the_size_that_it_was_given_last(
        self, harness: DriverHarness
    ):
        resource = await with_console(harness)
        size = TerminalSize(rows=33, columns=77)
        async with attach(harness, resource, size=size) as console:
            assert console.can_resize
            terminal = Terminal(console)
            await terminal.shell()
            await terminal.run(b"stty size", b"33 77")
            await console.resize(TerminalSize(rows=44, columns=88))
            await terminal.run(b"stty size", b"44 88")

    async def test_container_ends_with_the_exit_code_of_its_main_process(
        self, harness: DriverHarness
    ):
        resource = await with_console(harness)
        async with attach(harness, resource) as console:
            terminal = Terminal(console)
            await terminal.shell()
            await console.write(b"exit 3\r")
            await asyncio.wait_for(terminal.ended, 60)
            assert await console.exit() == CommandExit(code=3)

    async def test_signal_reaches_the_main_process(self, harness: DriverHarness):
        resource = await with_console(harness, command=("sleep", "600"), stdin_open=False)
        async with attach(harness, resource) as console:
            assert console.can_signal
            terminal = Terminal(console)
            await console.signal(9)
            await asyncio.wait_for(terminal.ended, 60)
            assert await console.exit() == CommandExit(code=137)
            await console.signal(9)

    async def test_container_without_stdin_takes_no_input(self, harness: DriverHarness):
        resource = await with_console(harness, command=("sleep", "600"), stdin_open=False)
        with pytest.raises(InvalidArgumentError, match="stdin_open"):
            async with attach(harness, resource, stdin=True):
                pytest.fail("it is attached")
        async with attach(harness, resource) as console:
            assert not console.stdin

    async def test_callers_at_once_hear_the_same(self, harness: DriverHarness):
        resource = await with_console(harness)
        async with attach(harness, resource) as one, attach(harness, resource) as other:
            first, second = Terminal(one), Terminal(other)
            await first.shell()
            await first.run(b"echo both", b"both")
            await second.hear(rb"\nboth\r\n")

    async def test_outputs_without_a_terminal_are_apart(self, harness: DriverHarness):
        resource = await with_console(harness, tty=False)
        said = {False: b"", True: b""}
        async with attach(harness, resource) as console:
            assert not console.tty
            assert not console.can_resize
            with pytest.raises(CapabilityMissingError):
                await console.resize(TerminalSize(rows=1, columns=1))
            await console.write(b"echo out; echo err >&2; exit 4\n")
            async for output in console.output():
                said[output.is_stderr] += output.data
            assert await console.exit() == CommandExit(code=4)
        assert said == {False: b"out\n", True: b"err\n"}

    async def test_input_ends_with_no_caller(self, harness: DriverHarness):
        resource = await with_console(harness, tty=False)
        async with attach(harness, resource) as console:
            await console.write(b"true\n")

        async def runs() -> bool:
            return await state_of(harness, resource) is ResourceState.RUNNING

        await consistently(runs, during=0.5)


class DomainConsolesContract:
    async def test_console_of_domain_has_one_caller(self, harness: DriverHarness):
        resource = await with_console(harness)
        async with attach(harness, resource):
            with pytest.raises(InUseError) as refused:
                async with attach(harness, resource):
                    pytest.fail("it is attached")
            assert f"console {resource.name!r} is in use" in str(refused.value)
        async with attach(harness, resource) as console:
            terminal = Terminal(console)
            await terminal.shell()

    async def test_console_of_domain_has_neither_size_nor_signals(self, harness: DriverHarness):
        resource = await with_console(harness)
        async with attach(harness, resource, size=TerminalSize(rows=9, columns=9)) as console:
            assert not console.can_resize
            assert not console.can_signal
            with pytest.raises(CapabilityMissingError):
                await console.resize(TerminalSize(rows=1, columns=1))
            with pytest.raises(CapabilityMissingError):
                await console.signal(2)
