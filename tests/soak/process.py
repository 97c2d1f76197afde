"""The memory, threads and files of a process, as the kernel counts them."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Usage:
    """Memory in MB, threads and open file descriptors of a process."""

    rss: float
    threads: int
    files: int

    @classmethod
    def of(cls, pid: int) -> "Usage":
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        status = dict(line.split(":", 1) for line in lines)
        files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        return cls(int(status["VmRSS"].split()[0]) / 1024, int(status["Threads"]), files)

    def __str__(self) -> str:
        return f"{self.rss:.1f} MB, {self.threads} threads, {self.files} files"


def highest(samples: Sequence[Usage]) -> Usage:
    """Return the highest memory, threads and files."""
    return Usage(
        max(usage.rss for usage in samples),
        max(usage.threads for usage in samples),
        max(usage.files for usage in samples),
    )


class Sampler:
    """Samples a process repeatedly while entered."""

    def __init__(self, pid: int, every: float = 0.25) -> None:
        self.samples: list[Usage] = [Usage.of(pid)]
        self._pid = pid
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every):
            self.samples.append(Usage.of(self._pid))

    def thirds(self) -> list[Usage]:
        """Return the highest usage in each third of the time."""
        size = len(self.samples) // 3
        return [highest(self.samples[n * size : (n + 1) * size]) for n in range(3)]
