"""Structured logs on standard error: events with fields."""

import io
import json
import logging
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog

from proad.config import LogFormat, LogLevel
from proad.errors import redacted

# No local variables of the frames, which may hold passwords.
_traceback = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)

# Numbers by the names of structlog's methods and of `LogLevel`.
_SEVERITIES = {name.lower(): number for name, number in logging.getLevelNamesMapping().items()}

# Created once: json.dumps with an option creates an encoder for every line.
_encoder = json.JSONEncoder(default=repr)


class _Lines:
    """Writes the lines of one module.

    The standard library's logging takes four times as long, for every call that is served.
    """

    def __init__(self, stream: TextIO, name: str) -> None:
        self.name = name
        self._stream = stream

    def write(self, line: str) -> None:
        """Write a line. A closed or full log does not stop the daemon."""
        try:
            self._stream.write(f"{line}\n")  # standard error does not buffer lines
        except (OSError, ValueError):
            return

    debug = info = warning = error = critical = write


def _stamp(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Add the timestamp: that of the event, or else the present time."""
    when: datetime = event.get("timestamp") or datetime.now(UTC)
    event["timestamp"] = when.isoformat().replace("+00:00", "Z")
    return event


@dataclass(frozen=True, slots=True)
class _Quoted:
    """A text that is shown as Python writes it."""

    text: str

    def __repr__(self) -> str:
        return repr(self.text)


def _visible(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Escape control characters in texts: structlog does so only where it sets quotes itself."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = _escaped(value) if name == "event" else _Quoted(value)
    return event


def _visible_traceback(stream: TextIO, failure: structlog.typing.ExcInfo) -> None:
    """Write a traceback, with the control characters in its messages escaped."""
    plain = io.StringIO()
    structlog.dev.plain_traceback(plain, failure)
    stream.write("\n".join(map(_escaped, plain.getvalue().split("\n"))))


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _redact(_logger: object, _method: str, line: Any) -> str:
    """Redact credentials in a line, whatever their origin."""
    return redacted(str(line))


class LogThreshold:
    """The minimum severity of the lines of this process, which may change while it runs.

    structlog's own filter is made with each logger, and loggers are made once.
    """

    def __init__(self, level: LogLevel) -> None:
        self.set(level)

    def set(self, level: LogLevel) -> None:
        """Log lines of this severity and above from now on."""
        self._least = _SEVERITIES[level]
        logging.getLogger().setLevel(self._least)

    def __call__(
        self, _logger: object, method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        """Drop lines below the threshold: a processor of structlog."""
        if _SEVERITIES[method] < self._least:
            raise structlog.DropEvent
        return event


def configure_logs(form: LogFormat, level: LogLevel) -> LogThreshold:
    """Configure structlog and the standard library's loggers for this process."""
    threshold = LogThreshold(level)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _stamp,
    ]
    stream = sys.stderr
    terminal = stream.isatty()
    final: list[structlog.typing.Processor] = [
        _traceback,
        structlog.processors.JSONRenderer(serializer=lambda event, **_: _encoder.encode(event)),
    ]
    if form is LogFormat.CONSOLE or (form is LogFormat.AUTO and terminal):
        final = [
            _visible,
            structlog.dev.ConsoleRenderer(colors=terminal, exception_formatter=_visible_traceback),
        ]
    final.append(_redact)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    logging.basicConfig(handlers=[handler], force=True)
    # Alembic logs every step of a migration, which interests its author alone.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # Their lines contain rows, and hence password hashes and names of users whose login failed.
    for library in ("sqlalchemy", "aiosqlite", "psycopg"):
        logging.getLogger(library).setLevel(logging.WARNING)
    structlog.configure(
        processors=[threshold, *shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        logger_factory=lambda name="proad": _Lines(stream, name),
        cache_logger_on_first_use=True,
    )
    return threshold
