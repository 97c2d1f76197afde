"""Logs are events with fields: lines for eyes, or JSON for programs."""

import logging
import sys

import structlog

from proad.config import LogFormat, LogLevel


def configure_logs(style: LogFormat, level: LogLevel) -> None:
    """Set up structlog for the process. Called once, before anything is logged."""
    rendering: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if style is LogFormat.JSON
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *rendering,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            getattr(logging, level.name)  # the levels have the same names
        ),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
