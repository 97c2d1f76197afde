"""Log lines: events with fields, on standard error."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog

from proad.config import LogFormat, LogLevel
from proad.errors import redacted

# Without the variables of each frame, which may hold passwords.
_traceback = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)

# Made once: json.dumps with an option makes another one for every line.
_encoder = json.JSONEncoder(default=repr)


class _Lines:
    """Writes the lines of one module. The standard library's way costs four times as much,
    for every call that is served.
    """

    def __init__(self, stream: TextIO, name: str) -> None:
        self.name = name
        self._stream = stream

    def write(self, line: str) -> None:
        """Write a line; a log that is closed or full does not stop the daemon."""
        try:
            self._stream.write(f"{line}\n")  # standard error keeps no line back
        except (OSError, ValueError):
            return

    debug = info = warning = error = critical = write


def _stamp(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Put the time in, of now unless the line tells of something earlier."""
    when: datetime = event.get("timestamp") or datetime.now(UTC)
    event["timestamp"] = when.isoformat().replace("+00:00", "Z")
    return event


def _visible(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Escape what a terminal would obey in the words of libraries; fields are escaped anyway."""
    told = event.get("event")
    if isinstance(told, str) and not told.isprintable():
        event["event"] = told.encode("unicode_escape").decode()
    return event


def _redact(_logger: object, _method: str, line: Any) -> str:
    """Take credentials out of a line that is about to be written, whoever put them in."""
    return redacted(str(line))


def configure_logs(form: LogFormat, level: LogLevel) -> None:
    """Set up structlog, and the standard library's loggers alike, for this process."""
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
            structlog.dev.ConsoleRenderer(
                colors=terminal, exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    final.append(_redact)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Alembic tells every step of a migration, which is only of interest to its author.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # It writes rows, which have the hashes of passwords in them.
    logging.getLogger("sqlalchemy").setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=lambda name="proad": _Lines(stream, name),
        cache_logger_on_first_use=True,
    )
