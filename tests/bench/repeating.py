"""What a request id costs, against the commits of a bare SQLite."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from bench.daemon import Daemon, running
from bench.interleaved import Act, p50, time_interleaved
from bench.plan import Plan
from bench.populated import IMAGE
from bench.report import Row, Target
from proa import v1

_SERVICE = "/proa.v1.ResourceService/"
_ROW_BYTES = 600
_NOTE = (
    "What a pause or a resume on the memory driver takes longer with a request_id, against one "
    "commit of a row of the same size by sqlite3 in the same folder, with a write-ahead log and "
    "the same durability. With an id a call commits twice, without one not at all."
)


def request_ids(plan: Plan) -> Iterator[Row]:
    """Pause and resume containers with and without an id, and commit rows beside."""
    with running("-m", "bench.populated", "10") as daemon:
        bare = sqlite3.connect(Path(daemon.socket).parent / "bare.db", isolation_level=None)
        with closing(bare):
            times = time_interleaved(
                {
                    "with": _verbs(daemon, "with", ids=True),
                    "without": _verbs(daemon, "without", ids=False),
                    "commit": _commits(bare),
                },
                plan.request_ids,
            )
    cost = p50(times["with"]) - p50(times["without"])
    commit = p50(times["commit"])
    yield Row.ratio("a request id : a commit", cost, commit, Target("≤", 2.5), note=_NOTE)


def _verbs(daemon: Daemon, id: str, *, ids: bool) -> Act:
    spec = v1.ContainerSpec(image=IMAGE, name=id)
    daemon.client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec, start=True))
    paused = False

    def act() -> None:
        nonlocal paused
        verb = "ResumeResource" if paused else "PauseResource"
        # Fields of PauseResourceRequest and ResumeResourceRequest have the same numbers.
        request = v1.PauseResourceRequest(id=id, request_id=str(uuid4()) if ids else "")
        daemon.wire.call(_SERVICE + verb, request.SerializeToString())
        paused = not paused

    return act


def _commits(connection: sqlite3.Connection) -> Act:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE bare (id TEXT PRIMARY KEY, content BLOB)")

    def act() -> None:
        connection.execute("BEGIN IMMEDIATE")
        row = str(uuid4()), os.urandom(_ROW_BYTES)
        connection.execute("INSERT INTO bare VALUES (?, ?)", row)
        connection.execute("COMMIT")

    return act
