"""The logs of containers."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus

from proad.drivers.docker.errors import ENGINE, refused
from proad.drivers.docker.frames import Frames
from proad.drivers.docker.http.api import Answer
from proad.drivers.docker.http.body import Body
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.log_times import FramedTimes, RawTimes
from proad.drivers.docker.reader import ContainerReader, path
from proad.drivers.log_lines import LogLines, batches
from proad.errors import CapabilityMissingError, ProaError, ResourceNotFoundError
from proad.model import LogLine, LogOptions, LogOutput

Messages = Iterator[tuple[bool, bytes, int | None]]


class ContainerLogs:
    """Reads the logs of containers.

    Args:
        engine: the engine.
        reader: reads the containers.
    """

    def __init__(self, engine: EngineClient, reader: ContainerReader) -> None:
        self._engine = engine
        self._reader = reader

    @asynccontextmanager
    async def read(
        self, id: str, options: LogOptions
    ) -> AsyncIterator[AsyncIterator[Sequence[LogLine]]]:
        """Read a log; see `ports.Logs`."""
        container = (await self._reader.get(id)).container
        spec = container.spec if container else None
        begun = await self._engine.open_body(path(id, "/logs"), _params(options))
        if isinstance(begun, Answer):
            if begun.ok:
                yield _nothing()
                return
            raise _refused(id, begun, spec.log_driver if spec else "")
        body = await Body.of(begun)
        messages = _ContainerLog(tty=bool(spec and spec.tty), timestamps=_timed(options))
        try:
            yield _batches(body, messages)
        finally:
            body.close()


class _ContainerLog:
    """Makes lines of what the engine sends.

    Args:
        tty: whether the container has a terminal.
        timestamps: whether its messages have their time.
    """

    def __init__(self, *, tty: bool, timestamps: bool) -> None:
        self._frames = Frames()
        self._raw = RawTimes() if tty and timestamps else None
        self._framed = FramedTimes(self._frames) if timestamps and not tty else None
        self._tty = tty
        self._outputs = {
            is_stderr: LogLines(is_stderr=is_stderr, is_terminal=tty) for is_stderr in (False, True)
        }

    def take(self, data: bytes) -> list[LogLine]:
        """Return the lines of a piece."""
        lines: list[LogLine] = []
        for is_stderr, content, time in self._messages(data):
            lines += self._outputs[is_stderr].take(content, time)
        return lines

    def rest(self) -> list[LogLine]:
        """Return what is left at the end.

        Raises:
            EngineUnreachableError: it is no end.
        """
        self._frames.check_end()
        left = self._outputs[False].take(self._raw.rest()) if self._raw else []
        return [*left, *(line for each in self._outputs.values() for line in each.rest())]

    def _messages(self, data: bytes) -> Messages:
        if timed := self._raw or self._framed:
            return timed.take(data)
        if self._tty:
            return iter([(False, data, None)])
        return ((piece.is_stderr, piece.data, None) for piece in self._frames.take(data))


async def _batches(body: Body, log: _ContainerLog) -> AsyncIterator[Sequence[LogLine]]:
    while data := await body.read():
        lines = log.take(data)
        for batch in batches(lines):
            yield batch
    yield log.rest()


async def _nothing() -> AsyncIterator[Sequence[LogLine]]:
    none: Sequence[Sequence[LogLine]] = ()
    for lines in none:
        yield lines


def _params(options: LogOptions) -> dict[str, str | int]:
    params: dict[str, str | int] = {
        "stdout": int(options.output is not LogOutput.STDERR),
        "stderr": int(options.output is not LogOutput.STDOUT),
        "follow": int(options.follow),
        "timestamps": int(_timed(options)),
        "tail": "all" if options.tail is None else options.tail,
    }
    if options.since is not None:
        params["since"] = _moment(options.since)
    if options.until is not None:
        params["until"] = _moment(options.until)
    return params


def _timed(options: LogOptions) -> bool:
    """Return whether lines have their time: who follows may have to go on in another call."""
    return options.timestamps or options.follow


def _moment(time: datetime) -> str:
    """Return a time as the engine takes it: seconds since 1970, with microseconds."""
    since = time.astimezone(UTC) - datetime.fromtimestamp(0, UTC)
    return f"{since.days * 86400 + since.seconds}.{since.microseconds:06}000"


def _refused(id: str, answer: Answer, log_driver: str) -> ProaError:
    """Return why an engine gives no log."""
    if answer.status == HTTPStatus.NOT_FOUND:
        return ResourceNotFoundError(id)
    if answer.status == HTTPStatus.NOT_IMPLEMENTED:
        return CapabilityMissingError(
            "logs of this container",
            driver=ENGINE,
            hint=f"its log driver, {log_driver or 'none'}, keeps nothing that can be read; make it "
            "with json-file or local",
        )
    return refused(answer.status, answer.text)
