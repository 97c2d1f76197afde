"""Reload: a running daemon takes over changed settings, all of them or none."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from proad.config import Settings
from proad.errors import SetupError

_log = structlog.get_logger(__name__)

# Only commands on the host read these.
_OF_COMMANDS = frozenset({"password_min_length"})


@dataclass(frozen=True, slots=True)
class Prepared:
    """Changed settings that are read and checked.

    Attributes:
        take_over: takes them over, on the event loop; cannot fail.
        changed: names of settings whose files have other contents.
        restart: names of settings that only a restart can change in this way.
    """

    take_over: Callable[[], None]
    changed: frozenset[str] = frozenset()
    restart: frozenset[str] = frozenset()


class Reloadable(Protocol):
    """A component whose settings may change while the daemon runs."""

    @property
    def settings(self) -> frozenset[str]:
        """Names of these settings."""

    def prepare(self, settings: Settings) -> Prepared:
        """Read and check all that the settings name, without an effect; on a thread.

        Raises:
            SetupError: something is wrong with it.
        """


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload did.

    Attributes:
        changed: names of the settings that have another value now, or whose files have changed.
        restart: names of the settings whose other value is not in force before a restart.
    """

    changed: Sequence[str]
    restart: Sequence[str]


class Reloader:
    """Reads the settings anew, and hands them to the components that can take them over.

    Args:
        settings: the settings that the daemon was started with.
        load: loads the settings, with the errors of `load_settings`.
    """

    def __init__(self, settings: Settings, load: Callable[[], Settings]) -> None:
        self._settings = settings
        self._load = load
        self._parts: list[Reloadable] = []
        self._running = asyncio.Lock()

    def add(self, part: Reloadable) -> None:
        """Let a component take part in reloads."""
        self._parts.append(part)

    async def command(self) -> Mapping[str, object]:
        """Reload, and return what changed, for a command on the host; errors are those of `reload`."""
        done = await self.reload()
        return {"changed": done.changed, "restart": done.restart}

    async def reload(self) -> Reloaded:
        """Reload.

        Raises:
            SetupError: something is wrong with the settings or what they name; nothing changed.
        """
        async with self._running:
            try:
                new, prepared = await asyncio.to_thread(self._prepare)
            except SetupError as error:
                _log.error("not reloaded", cause=str(error))
                raise
            except Exception as error:
                # Whatever a file has in it, the next reload must still be possible.
                _log.exception("not reloaded")
                raise SetupError("a fault of the daemon; its log has more") from error
            differing = {
                name
                for name in Settings.model_fields
                if getattr(self._settings, name) != getattr(new, name)
            } - _OF_COMMANDS
            restart = (differing - self._reloadable()).union(*(each.restart for each in prepared))
            for each in prepared:
                each.take_over()
            self._settings = self._settings.model_copy(
                update={name: getattr(new, name) for name in differing - restart}
            )
            changed = differing.union(*(each.changed for each in prepared)) - restart
            done = Reloaded(_as_written(changed), _as_written(restart))
            _log.info("reloaded", changed=done.changed, restart_needed=done.restart)
            return done

    def _prepare(self) -> tuple[Settings, list[Prepared]]:
        settings = self._load()
        return settings, [part.prepare(settings) for part in self._parts]

    def _reloadable(self) -> frozenset[str]:
        return frozenset().union(*(part.settings for part in self._parts))


def _as_written(names: Iterable[str]) -> list[str]:
    """Return settings by the names that they have in the file."""
    return sorted(Settings.model_fields[name].alias or name for name in names)


class ReloadableSettings:
    """Settings that need no files to be read.

    Args:
        names: their names.
        take_over: takes them over, on the event loop; cannot fail.
    """

    def __init__(self, *names: str, take_over: Callable[[Settings], None]) -> None:
        self.settings = frozenset(names)
        self._take_over = take_over

    def prepare(self, settings: Settings) -> Prepared:
        """Return what takes them over: they were checked when they were loaded."""
        return Prepared(lambda: self._take_over(settings))
