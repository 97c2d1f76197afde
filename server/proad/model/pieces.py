"""Streams of bytes, in pieces."""

from collections.abc import Iterator

PIECE = 64 * 2**10
"""Bytes that are taken from a stream, or handed over, at a time, at most; asyncio reads about two ahead."""


def pieces(data: bytes) -> Iterator[bytes]:
    """Yield bytes in pieces."""
    for start in range(0, len(data), PIECE):
        yield data[start : start + PIECE]
