"""Processes beside the bench: a bare server to compare with, and clients."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

# Forking does not go together with gRPC.
_processes = multiprocessing.get_context("spawn")


class Worker:
    """A function that runs in a process of its own, at the other end of a pipe."""

    def __init__(self, pid: int, connection: "Connection[Any, Any]") -> None:
        self.pid = pid
        self._connection = connection

    def ask(self, question: object, patience: float = 60) -> Any:
        """Send a question and return the answer."""
        self._connection.send(question)
        return self.answer(patience)

    def answer(self, patience: float = 60) -> Any:
        """Wait for an answer and return it; raise it if it is an exception."""
        if not self._connection.poll(patience):
            raise TimeoutError(f"a worker did not answer within {patience:.0f} s")
        answer = self._connection.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextmanager
def working(main: Callable[..., None], *args: object) -> Iterator[Worker]:
    """Run `main(connection, *args)` in a process; its pipe is closed when it shall end."""
    ours, theirs = _processes.Pipe()
    process = _processes.Process(target=_run, args=(main, theirs, *args), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Worker(process.pid or 0, ours)
    finally:
        ours.close()
        process.join(5)
        process.kill()
        process.join()


def _run(main: Callable[..., None], connection: "Connection[Any, Any]", *args: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that started us
    try:
        main(connection, *args)
    except EOFError:
        return  # nobody wants anything more
    except Exception as error:  # noqa: BLE001 - whoever asked shall know
        connection.send(RuntimeError(f"{type(error).__name__}: {error}"))
