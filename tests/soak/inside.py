"""Three hundred streams inside of containers, a guest and imitated workloads at once.

Their clients are killed again and again. In the end nothing of theirs may be left, and the daemons
are what they were.
"""

import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import proa
from eventually import wait_until
from guest.media import build_guest, import_image
from integration.daemon.conftest import Daemon
from proa import v1
from soak.inside_crowd import MARK, Crowd, Report, run
from soak.inside_world import IN_MEMORY, ON_ENGINES, Streams, imitated, media, resources
from soak.process import Sampler, Usage, highest
from soak.setting import daemon

SECONDS = 150.0
TOKEN_LIFE = 60.0
FREED = 10.0
"""Seconds within which everything of a client is gone that was killed."""
_OPEN = 120.0  # seconds, at most, until all streams are open that two cores begin
_EVERY = 6.0  # between two kills
_SPARE = 4  # streams of those who look on
# Connections to engines that are kept for the next call, and the thread of one: they are as many as
# there once were calls at a time. What were of streams would be hundreds.
_MORE_FILES, _MORE_THREADS = 16, 4
# What a daemon may have more: with all streams, and when all of them have ended. What was freed once
# is not given back to the kernel.
_MOST_MB, _LEFT_MB = 100, 60


@dataclass
class _Member:
    """A client that may be killed."""

    crowd: Crowd
    process: BaseProcess
    pipe: Connection
    report: Report = field(default_factory=Report)

    def __post_init__(self) -> None:
        # A pipe that nobody reads would hold its client up.
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def is_open(self) -> bool:
        assert self.process.is_alive(), "a client has ended by itself"
        return len(self.report.open) == len(self.crowd.streams)

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self._reading.join()

    def end(self) -> None:
        """Have it close its streams."""
        self.pipe.send("end")
        self.process.join(60)
        assert not self.process.is_alive(), "a client does not end"
        self._reading.join()

    def _read(self) -> None:
        with suppress(EOFError, OSError):  # it has ended, or was killed
            while True:
                self.report = self.pipe.recv()


@dataclass
class _Side:
    """A daemon, and all that its clients do."""

    name: str
    daemon: Daemon
    crowds: list[Streams]
    seed: int
    members: list[_Member] = field(default_factory=list)
    past: list[Report] = field(default_factory=list)
    count: int = 0

    @property
    def pid(self) -> int:
        assert self.daemon.process is not None
        return self.daemon.process.pid

    def start(self, streams: Streams) -> _Member:
        self.count += 1
        mark = f"{self.name}-{self.count}-{secrets.token_hex(4)}"
        crowd = Crowd(self.daemon.address, streams, mark, self.seed + self.count)
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=run, args=(crowd, theirs), daemon=True)
        process.start()
        theirs.close()
        member = _Member(crowd, process, ours)
        self.members.append(member)
        return member

    def start_all(self) -> None:
        for streams in self.crowds:
            self.start(streams)

    def remove(self, member: _Member) -> None:
        self.members.remove(member)
        self.past.append(member.report)

    def open_streams(self) -> int:
        return sum(len(member.report.open) for member in self.members)

    @property
    def reports(self) -> list[Report]:
        return [*self.past, *(member.report for member in self.members)]


def inside(seconds: float, seed: int) -> str:
    """Have all streams for so long, and check what goes through and what is left."""
    chance = random.Random(seed)
    import_image()
    build_guest()
    prefix = f"proa-test-inside-{secrets.token_hex(4)}"
    with ExitStack() as stack:
        folder = stack.enter_context(media(prefix))
        real = stack.enter_context(daemon(PROA_MEDIA_DIRS=str(folder), **_settings(ON_ENGINES)))
        other = stack.enter_context(daemon("--memory", **_settings(IN_MEMORY)))
        on_engines = stack.enter_context(resources(real, prefix, folder))
        in_memory = stack.enter_context(imitated(other))
        sides = [
            _Side("engines", real, on_engines, chance.randrange(2**32)),
            _Side("memory", other, in_memory, chance.randrange(2**32)),
        ]
        stack.callback(_kill_all, sides)
        _all_open(sides)  # what is made once is there from now on
        _kill_all(sides)
        before = _settled(sides, [Usage(1e6, 10**6, 10**6)] * len(sides))
        begin = time.monotonic()
        _all_open(sides)
        opened = time.monotonic() - begin
        open = [side.open_streams() for side in sides]
        assert open == [ON_ENGINES, IN_MEMORY], open
        with Sampler(sides[0].pid) as first, Sampler(sides[1].pid) as second:
            visitors = [_Visitor(side) for side in sides]
            with _beside([work for each in visitors for work in (each.hold, each.look)]):
                kills = _killing(sides, seconds, chance)
            lives = (time.monotonic() - begin) / TOKEN_LIFE
        assert lives > 2, "too short a time for two lives of a token"
        _end_all(sides)
        after = _settled(sides, before)
        peaks = [highest(sampler.samples) for sampler in (first, second)]
        _check(sides, before, peaks, after)
    return (
        f"{sum(open)} streams, open after {opened:.0f} s, {_moved(sides)}; {kills}; in {lives:.1f} lives of "
        "tokens: "
        + "; ".join(
            f"{side.name}: {then}, at most {peak}, at the end {now}; {visitor}"
            for side, then, peak, now, visitor in zip(
                sides, before, peaks, after, visitors, strict=True
            )
        )
    )


def _settings(streams: int) -> dict[str, str]:
    """Return settings by which streams that are not freed leave no room for others in their places."""
    return {
        "PROA_TOKEN_LIFETIME": f"{TOKEN_LIFE}s",
        "PROA_USER_REQUEST_STREAMS": str(streams + _SPARE),
    }


def _killing(sides: Sequence[_Side], seconds: float, chance: random.Random) -> str:
    """Kill clients and start others in their places; return what became of that."""
    end = time.monotonic() + seconds
    freed, again, kills = 0.0, 0.0, 0
    while time.monotonic() < end:
        time.sleep(_EVERY)
        side = chance.choice(sides)
        member = chance.choice(side.members)
        member.kill()
        side.remove(member)
        kills += 1
        freed = max(freed, _gone(side, [member.crowd]))
        new = side.start(member.crowd.streams)
        again = max(again, wait_until(new.is_open, "its streams are open", within=_OPEN))
    return (
        f"{kills} clients killed, all of theirs gone after at most {freed:.1f} s, and others in their "
        f"places after at most {again:.1f} s"
    )


def _all_open(sides: Sequence[_Side]) -> None:
    for side in sides:
        side.start_all()

    def missing() -> list[str]:
        return [
            f"{name} {member.report.faults[-1:]}"
            for side in sides
            for member in side.members
            if not member.is_open()
            for number, (name, _) in enumerate(member.crowd.streams)
            if number not in member.report.open
        ]

    wait_until(lambda: not missing(), lambda: f"all is open: {missing()}", within=_OPEN)


def _kill_all(sides: Sequence[_Side]) -> None:
    for side in sides:
        crowds = [member.crowd for member in side.members]
        for member in [*side.members]:
            member.kill()
            side.remove(member)
        if crowds:
            _gone(side, crowds, all=True)


def _end_all(sides: Sequence[_Side]) -> None:
    """End the clients, every second one by a kill."""
    for side in sides:
        crowds = [member.crowd for member in side.members]
        for number, member in enumerate([*side.members]):
            if number % 2:
                member.kill()
            else:
                member.end()
            side.remove(member)
        _gone(side, crowds, all=True)


def _gone(side: _Side, crowds: Sequence[Crowd], *, all: bool = False) -> float:
    """Wait until no process of these clients is left, on this host or in a guest.

    Return the seconds. With `all`, nobody else is in the guest.
    """
    marks = [crowd.mark for crowd in crowds]
    guests = {id for crowd in crowds for name, id in crowd.streams if name == "console"}
    begin = time.monotonic()
    wait_until(lambda: not _marked(marks), lambda: f"none is left: {_marked(marks)}", within=FREED)
    with side.daemon.client() as client:
        for guest in guests:
            seen: list[str] = []

            def empty(guest: str = guest, seen: list[str] = seen) -> bool:
                seen.append(_marked_in(client, guest, marks, folders=all))
                return not seen[-1]

            wait_until(empty, lambda seen=seen: f"none is left: {seen}", within=FREED, every=0.5)  # type: ignore[misc]
    return time.monotonic() - begin


def _marked(marks: Sequence[str]) -> list[str]:
    """Return the processes of this host, containers included, that somebody has begun."""
    wanted = [f"{MARK}={mark}\0".encode() for mark in marks]
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):  # it has ended
                environment = (process / "environ").read_bytes()
                if any(each in environment for each in wanted):
                    found.append(f"{process.name} {(process / 'cmdline').read_bytes()!r}")
    return found


def _marked_in(client: proa.Client, guest: str, marks: Sequence[str], *, folders: bool) -> str:
    """Return the processes in a guest that somebody has begun, and perhaps the folders for them."""
    script = 'cd /proc; for mark; do grep -ls "$mark" [0-9]*/environ; done; '
    if folders:  # that of this very command is there
        script += "set -- /tmp/.proa-*; [ $# -le 1 ] || ls -l $*"
    done = client.run_command(guest, ["sh", "-c", script, "sh", *marks])
    return done.stdout.decode()


def _settled(sides: Sequence[_Side], most: Sequence[Usage]) -> list[Usage]:
    """Return the usage of the daemons once it is no more than that, and the same for a while."""
    seen: list[list[Usage]] = []

    def quiet() -> bool:
        seen.append([Usage.of(side.pid) for side in sides])
        last = [[(usage.threads, usage.files) for usage in usages] for usages in seen[-4:]]
        return (
            len(last) == 4
            and all(each == last[0] for each in last)
            and all(
                now.threads <= then.threads + _MORE_THREADS
                and now.files <= then.files + _MORE_FILES
                for now, then in zip(seen[-1], most, strict=True)
            )
        )

    wait_until(quiet, lambda: f"as before: {seen[-1]}, {most}", within=60, every=0.5)
    return seen[-1]


@contextmanager
def _beside(work: Sequence[Callable[[threading.Event], None]]) -> Iterator[None]:
    """Do work on threads until the end of the block, and raise what fails there."""
    over, failures = threading.Event(), list[Exception]()

    def do(each: Callable[[threading.Event], None]) -> None:
        try:
            each(over)
        except Exception as error:  # noqa: BLE001 - raised below
            failures.append(error)

    threads = [threading.Thread(target=do, args=(each,)) for each in work]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


@dataclass
class _Visitor:
    """Somebody who holds a shell for all the time, and looks at resources beside it."""

    side: _Side
    answers: int = 0
    looks: list[float] = field(default_factory=list)

    @property
    def _box(self) -> str:
        return next(id for name, id in self.side.crowds[0] if name == "exec_echo")

    def hold(self, over: threading.Event) -> None:
        with (
            self.side.daemon.client() as client,
            client.exec(self._box, ["cat"], stdin=True) as shell,
        ):
            while not over.wait(1):
                line = b"answer %d\n" % self.answers
                shell.write(line)
                heard = b""
                while not heard.endswith(b"\n"):
                    heard += next(shell).data
                assert heard == line, heard
                self.answers += 1

    def look(self, over: threading.Event) -> None:
        request = v1.GetResourceRequest(id=self._box, view=v1.RESOURCE_VIEW_SUMMARY)
        with self.side.daemon.client() as client:
            while not over.wait(0.1):
                begin = time.monotonic()
                client.resources.GetResource(request)
                self.looks.append(time.monotonic() - begin)

    def __str__(self) -> str:
        times = sorted(self.looks)
        return (
            f"{self.answers} answers of a shell that was held; {len(times)} looks at a resource took "
            f"{_ms(times[len(times) // 2])}, p99 {_ms(times[len(times) * 99 // 100])}, "
            f"at most {_ms(times[-1])}"
        )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _check(
    sides: Sequence[_Side], before: list[Usage], peaks: list[Usage], after: list[Usage]
) -> None:
    for side, then, peak, now in zip(sides, before, peaks, after, strict=True):
        faults = [fault for report in side.reports for fault in report.faults]
        assert not faults, (len(faults), Counter(faults).most_common(10))
        wrong = [line for line in side.daemon.log() if line.get("level") in {"error", "critical"}]
        assert not wrong, (len(wrong), wrong[:3])
        assert peak.rss <= then.rss + _MOST_MB, (side.name, then, peak)
        assert now.rss <= then.rss + _LEFT_MB, (side.name, then, now)


def _moved(sides: Sequence[_Side]) -> str:
    reports = [report for side in sides for report in side.reports]
    rounds = sum((report.rounds for report in reports), Counter[str]())
    size = sum(report.moved for report in reports)
    return f"{size / 1e6:.0f} MB compared in {dict(rounds.most_common())}"
