"""A log in a folder of a test."""

import os
from typing import Any

from proad.audit import AuditOptions, LogWriter, verify
from proad.audit.chain import content
from proad.store.audit import AuditHead

KEYS = [b"k" * 32]
DAEMON = "7d3f9a52-6a0b-4a51-8f3c-1f2f4c1f0c11"
SMALL = AuditOptions(file_bytes=700, kept_files=100, reserved_bytes=0)


class Log:
    """Writes lines, and checks what has become of them."""

    def __init__(self, folder, options=SMALL, keys=KEYS):
        self.folder = folder
        self.options = options
        self.keys = keys
        self.head: Any = None

    def writer(self, *, sync=os.fdatasync):
        return LogWriter(self.folder, self.keys, DAEMON, self.options, sync=sync)

    def run(self, count, *, known=None, sync=os.fdatasync):
        """Start, write so many lines and end; return what the log was found with."""
        writer = self.writer(sync=sync)
        damage = writer.load(self.head if known is None else known)
        write(writer, {"kind": "start", **damage.told()})
        for number in range(count):
            write(writer, {"kind": "note", "number": number})
        writer.close()
        self.head = writer.head
        return damage

    def verify(self, head=None, keys=None):
        return verify(self.folder, keys or self.keys, DAEMON, head or self.head)

    def files(self):
        return sorted(self.folder.iterdir())

    def lines(self):
        return [line for path in self.files() for line in path.read_bytes().splitlines()]


def write(writer, *lines):
    writer.next()
    done = writer.write([content(line) for line in lines], of_reserve=False)
    writer.sync()
    return done


def head(sequence):
    return AuditHead(sequence, "00" * 32)
