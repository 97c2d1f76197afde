"""Durations of the driver: how long it waits, and how often it looks."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTiming:
    """Connections, and calls over them.

    Attributes:
        open_timeout: how long a call waits for a connection.
        close_timeout: how long the driver waits for a clean close.
        keepalive_interval: time between keepalive messages, in whole seconds. A libvirtd that
            hangs is given up after four of them, which ends every call that waits for it.
        call_timeout: limit of a call.
        long_call_timeout: limit of a call that writes memory or disks. A dead engine is noticed
            by keepalive well before.
        undo_timeout: how long a cancelled create waits for its thread to undo what it did.
    """

    open_timeout: timedelta = timedelta(seconds=3)
    close_timeout: timedelta = timedelta(seconds=2)
    keepalive_interval: timedelta = timedelta(seconds=1)
    call_timeout: timedelta = timedelta(seconds=60)
    long_call_timeout: timedelta = timedelta(minutes=30)
    undo_timeout: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownTiming:
    """Stops and restarts.

    Attributes:
        default_grace: grace period of a request without one.
        agent_timeout: limit of a request to the guest agent; a dead agent must not use up the
            grace period.
        press_interval: time between two presses of the power button; a guest that boots does
            not notice the first.
        check_interval: longest time between two checks of the state, for events that were lost.
        min_call_timeout: limit of a call to libvirt, however short the grace period.
        reset_timeout: limit of a reset; a QEMU that takes longer is taken to hang.
        progress_interval: time between two reports of the progress of a save.
        progress_timeout: limit of the call for the progress.
    """

    default_grace: timedelta = timedelta(seconds=60)
    agent_timeout: timedelta = timedelta(seconds=3)
    press_interval: timedelta = timedelta(seconds=3)
    check_interval: timedelta = timedelta(seconds=1)
    min_call_timeout: timedelta = timedelta(seconds=3)
    reset_timeout: timedelta = timedelta(seconds=10)
    progress_interval: timedelta = timedelta(seconds=0.5)
    progress_timeout: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTiming:
    """Statistics. The first call after a QEMU began to hang waits for it; the next one does not,
    because the first still waits.

    Attributes:
        timeout: limit of a call.
        timeout_per_domain: added to the limit for each domain.
    """

    timeout: timedelta = timedelta(seconds=1)
    timeout_per_domain: timedelta = timedelta(milliseconds=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeTiming:
    """Memory of a running domain.

    Attributes:
        balloon_timeout: how long an update waits for the balloon to move, and then for it to
            arrive. A balloon begins within milliseconds; events tell what comes later.
        check_interval: time between two looks at the balloon.
    """

    balloon_timeout: timedelta = timedelta(seconds=2)
    check_interval: timedelta = timedelta(milliseconds=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogTiming:
    """Records of volumes.

    Attributes:
        query_timeout: limit of a query; a database has shorter limits of its own.
        retry_delay: how long views do without records after a query failed.
        reconcile_interval: time between two comparisons of the records with the volumes.
        settle_time: age up to which a comparison takes a create for one that is under way, here
            or in another daemon: it has records of volumes and of a domain that do not exist yet.
    """

    query_timeout: timedelta = timedelta(seconds=20)
    retry_delay: timedelta = timedelta(seconds=5)
    reconcile_interval: timedelta = timedelta(hours=1)
    settle_time: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleTiming:
    """Serial consoles.

    Attributes:
        open: limit of the opening of a console.
        write: for which a guest may not take a piece of input.
        end: for which a domain whose console has ended may run on before the console is taken to be
            somebody else's.
        look: between two looks whether it runs on.
        leave: how long the end of a call waits for the end of its console.
        close: for which a console that closes may wait for its guest to take input; then the input is
            dropped.
        keepalive_interval: time between keepalive messages, in whole seconds. A connection is given up
            after four of them: later than libvirtd gives up one from which it does not read (30 s), since
            libvirtd crashes (9.0) when a console is taken by force from a caller who has left unnoticed.
    """

    open: timedelta = timedelta(seconds=10)
    write: timedelta = timedelta(seconds=10)
    end: timedelta = timedelta(seconds=3)
    look: timedelta = timedelta(seconds=0.1)
    leave: timedelta = timedelta(seconds=5)
    close: timedelta = timedelta(seconds=0.5)
    keepalive_interval: timedelta = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTiming:
    """Commands and files, and the guest agents that do what is done to them.

    Attributes:
        answer: limit of an agent's answer, in whole seconds. libvirt adds five after one that came
            too late.
        turn: limit of a few requests in a row, with the wait for those before.
        aside: limit of an answer to what nobody waits for long, in whole seconds; after as long,
            nothing more is asked in the same turn.
        first_look: time between the begin of a program, or news of it, and the next look at it;
            doubled for each look without news.
        longest_pause: at most between two of these.
        program: limit of a program of ours in a guest, and of the begin of a command.
        clean_up: how long what was begun in a guest that is paused waits to be ended: a command to be
            killed, a file to be closed or removed.
        leave: how long somebody who leaves waits for that; it goes on.
    """

    answer: timedelta = timedelta(seconds=10)
    turn: timedelta = timedelta(seconds=30)
    aside: timedelta = timedelta(seconds=2)
    first_look: timedelta = timedelta(milliseconds=10)
    longest_pause: timedelta = timedelta(milliseconds=500)
    program: timedelta = timedelta(seconds=30)
    clean_up: timedelta = timedelta(minutes=5)
    leave: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTiming:
    """Logs of domains.

    Attributes:
        poll: between two looks for what is new in a log that is followed.
    """

    poll: timedelta = timedelta(milliseconds=250)


@dataclass(frozen=True, slots=True, kw_only=True)
class LibvirtTiming:
    """Durations of all components.

    Attributes:
        connection: of connections and calls.
        shutdown: of stops and restarts.
        stats: of statistics.
        resize: of updates of memory.
        catalog: of the records of volumes.
        agent: of commands in guests.
        log: of logs.
        console: of serial consoles.
        poll_interval: time between two polls for changes that libvirt has no event of.
    """

    connection: SessionTiming = SessionTiming()
    shutdown: ShutdownTiming = ShutdownTiming()
    stats: SampleTiming = SampleTiming()
    resize: ResizeTiming = ResizeTiming()
    catalog: CatalogTiming = CatalogTiming()
    agent: AgentTiming = AgentTiming()
    log: LogTiming = LogTiming()
    console: ConsoleTiming = ConsoleTiming()
    poll_interval: timedelta = timedelta(seconds=10)
