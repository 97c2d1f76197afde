"""The durations of the docker driver."""

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanUpTiming:
    """Durations of the removal of what a failed create has left behind.

    Attributes:
        wait: for which the caller of the create waits for the removal.
        give_up_after: for which the removal is tried again, such as while the engine is away.
        retry_after: between two attempts.
    """

    wait: timedelta = timedelta(seconds=2)
    give_up_after: timedelta = timedelta(minutes=5)
    retry_after: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionTiming:
    """Durations of pause, resume and delete.

    Attributes:
        recheck_after: between two reads of a container that does not show its new state yet.
        removal: for which a delete waits for the removal by somebody else.
    """

    recheck_after: timedelta = timedelta(milliseconds=20)
    removal: timedelta = timedelta(seconds=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTiming:
    """Durations of stop and restart.

    Attributes:
        inspect: of the inspect before a stop, after which a container is taken for hung.
        first_check: from the signal to the first read; doubled for each further read.
        longest_check: at most between two reads.
    """

    inspect: timedelta = timedelta(seconds=5)
    first_check: timedelta = timedelta(milliseconds=10)
    longest_check: timedelta = timedelta(milliseconds=80)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalTiming:
    """Durations of signals that the shell of a container sends.

    Attributes:
        shell: for which a shell may take.
        keep: for which it is kept whether a container has such a shell.
        first_check: between two looks at a shell; doubled for each further look.
        longest_check: at most between two of these.
        leave: for which who ends a command waits until that has been killed.
        retry: between two attempts while the container is paused, or the engine away; doubled for
            each further one.
        longest_retry: at most between two of these.
        give_up_after: for which it is tried to kill a command that was left.
    """

    shell: timedelta = timedelta(seconds=10)
    keep: timedelta = timedelta(minutes=1)
    first_check: timedelta = timedelta(milliseconds=5)
    longest_check: timedelta = timedelta(seconds=1)
    leave: timedelta = timedelta(seconds=5)
    retry: timedelta = timedelta(milliseconds=500)
    longest_retry: timedelta = timedelta(seconds=20)
    give_up_after: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandTiming:
    """Durations of commands inside containers.

    Attributes:
        begin: for which the end of the driver waits until the commands that were given up have
            begun, and after which one that has not begun is looked at more seldom.
        first_check: between two looks at a command that has not begun, or whose end the engine
            has not noted; doubled for each further look.
        longest_check: at most between two of these.
        poll: between two questions whether a command has ended that cannot be watched.
        last_output: for which nothing comes after the end of a command before its output is over,
            though what it left running holds that open.
        signal: of signals that the shell of the container sends.
    """

    begin: timedelta = timedelta(seconds=5)
    first_check: timedelta = timedelta(milliseconds=5)
    longest_check: timedelta = timedelta(milliseconds=20)
    poll: timedelta = timedelta(seconds=5)
    last_output: timedelta = timedelta(seconds=5)
    signal: SignalTiming = field(default_factory=SignalTiming)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTiming:
    """Durations of a sample.

    Attributes:
        one: of the answer for one container.
        all: of the answers for all containers together.
    """

    one: timedelta = timedelta(seconds=2)
    all: timedelta = timedelta(seconds=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionTiming:
    """Durations of a subscription.

    Attributes:
        gather: before the check of a container's lock, in which more events of the
            container may come, such as those of pauses that do not last.
        gather_own: the same after a pause or resume by this driver. Docker receives its own
            pauses a second time and takes a late one for news: a check, which locks the
            container, would delay it further, and the next pause comes soon.
        check: of a check, after which the event is published all the same.
        recheck: of each later check of a container whose lock was not free.
        recheck_after: before each later check; as many as there are.
    """

    gather: timedelta = timedelta(milliseconds=10)
    gather_own: timedelta = timedelta(milliseconds=100)
    check: timedelta = timedelta(milliseconds=200)
    recheck: timedelta = timedelta(seconds=2)
    recheck_after: tuple[timedelta, ...] = tuple(timedelta(seconds=s) for s in (0, 5, 10, 20))


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerTiming:
    """Durations of the docker driver.

    Attributes:
        connect: of a connection to the engine, and of the beginning of a stream.
        probe: of the calls of a probe.
        inspect_removal: of the inspect of a container that is listed as being removed.
        pull_silence: for which a pull may tell nothing.
    """

    connect: timedelta = timedelta(seconds=4)
    probe: timedelta = timedelta(seconds=4)
    inspect_removal: timedelta = timedelta(seconds=1)
    pull_silence: timedelta = timedelta(minutes=10)
    clean_up: CleanUpTiming = field(default_factory=CleanUpTiming)
    transition: TransitionTiming = field(default_factory=TransitionTiming)
    command: CommandTiming = field(default_factory=CommandTiming)
    stop: StopTiming = field(default_factory=StopTiming)
    sample: SampleTiming = field(default_factory=SampleTiming)
    subscription: SubscriptionTiming = field(default_factory=SubscriptionTiming)
