"""Requests that take effect once, however often they are repeated.

A change announces its `Intent` to the current request before its first effect; see `announce`.
"""

from proad.core.requests.current import (
    Announce,
    Witness,
    Written,
    announce,
    announce_to,
    cancellable,
    is_only_checked,
    noting,
    part,
    passing_over,
    refuse,
    tell_plan,
    witness_by,
    witnessed,
)
from proad.core.requests.entry import NewRequest, Publish, Serve
from proad.core.requests.index import RETENTION
from proad.core.requests.journal import (
    MOST_REQUESTS,
    Checkpoint,
    JournalTiming,
    RequestJournal,
    passed,
)
from proad.core.requests.outcome import (
    AnswerCodec,
    Judge,
    Judgement,
    RepeatedFailure,
    RequestAnswer,
)
from proad.ports.requests import RequestKey, RequestRecord

__all__ = [
    "MOST_REQUESTS",
    "RETENTION",
    "Announce",
    "AnswerCodec",
    "Checkpoint",
    "JournalTiming",
    "Judge",
    "Judgement",
    "NewRequest",
    "Publish",
    "RepeatedFailure",
    "RequestAnswer",
    "RequestJournal",
    "RequestKey",
    "RequestRecord",
    "Serve",
    "Witness",
    "Written",
    "announce",
    "announce_to",
    "cancellable",
    "is_only_checked",
    "noting",
    "part",
    "passed",
    "passing_over",
    "refuse",
    "tell_plan",
    "witness_by",
    "witnessed",
]
