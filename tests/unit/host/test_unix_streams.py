"""Streams of Unix sockets that are hung up on."""

import os
import socket
import threading

from eventually import eventually
from proad.unix_streams import hang_up


def hung_up_with_bytes_left() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.send(b"x")
        hang_up(ours)


async def test_threads_that_close_have_no_descriptors_of_each_other(monkeypatch):
    inside = set[threading.Thread]()
    together = threading.Event()

    def closerange(_low: int, _high: int) -> None:
        inside.add(threading.current_thread())
        if len(inside) > 1:
            together.set()
        together.wait(0.2)  # which the other one would take to come
        inside.discard(threading.current_thread())

    monkeypatch.setattr(os, "closerange", closerange)
    for _ in range(2):
        hung_up_with_bytes_left()
    await eventually(lambda: all(each.name != "unix-close" for each in threading.enumerate()))
    assert not together.is_set()
