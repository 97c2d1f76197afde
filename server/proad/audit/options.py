"""How the audit log is kept."""

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """Sizes of the log, and when it is brought to disk.

    Attributes:
        sync_each: whether each line is brought to disk by itself; otherwise all that wait share
            one sync.
        group_delay: seconds that a line waits for others to share its sync; 0: none.
        file_bytes: a file that has this size is followed by another one.
        kept_files: number of files that are kept.
        reserved_bytes: room that the log has ahead of its end.
    """

    sync_each: bool = False
    group_delay: float = 0.0
    file_bytes: int = 16 * MIB
    kept_files: int = 64
    reserved_bytes: int = 16 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTiming:
    """Durations of the audit log, in seconds.

    Attributes:
        index_within: an entry is in the index, and the head in the database, within that.
        sync_within: a line that nobody waits for is synced within that.
        retry_interval: time between two attempts to write what could not be written.
        refusal_period: the counts of refused calls are written once in it.
        close_within: what the last lines may take at the end of the daemon.
        head_log_interval: the head is written to the daemon's own log once in it, if it moved.
    """

    index_within: float = 1.0
    sync_within: float = 0.1
    retry_interval: float = 1.0
    refusal_period: float = 60.0
    close_within: float = 10.0
    head_log_interval: float = 60.0
