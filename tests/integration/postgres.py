"""A private PostgreSQL."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path

import psycopg

from requirements import skip_or_fail


class Postgres:
    """A private PostgreSQL in a temporary folder, reached by its Unix socket alone."""

    def __init__(self, binaries, folder, owner):
        self._binaries = binaries
        self.folder = folder
        self._owner = owner

    def _run(self, command, *arguments):
        done = subprocess.run(
            [self._binaries / command, "-D", self.folder / "data", *arguments],
            user=self._owner,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            # LC_ALL: the locale of the machine may not exist for it
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def create(self):
        self._run("initdb", "-U", "proa", "--auth=trust", "--no-sync")

    def start(self):
        options = f"-k {self.folder} -c listen_addresses= -c fsync=off"
        self._run("pg_ctl", "-w", "-l", self.folder / "log", "-o", options, "start")

    def stop(self):
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    @contextmanager
    def hanging(self):
        """Stop the server and all its processes within the block, as one on a disk that hangs."""
        postmaster = int((self.folder / "data/postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        processes = [postmaster, *map(int, children)]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)

    def url(self, database):
        return f"postgresql://proa@/{database}?host={self.folder}"

    @contextmanager
    def new_database(self):
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
            yield self.url(name)
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _binaries():
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return installed[-1].parent if installed else None


@contextmanager
def running_postgres():
    """Run a server; skip the test where PostgreSQL is not installed."""
    binaries = _binaries()
    if binaries is None:
        skip_or_fail("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    owner = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    # Not pytest's folder, which nobody else may enter; and a socket's path is short
    folder = Path(tempfile.mkdtemp(prefix="proa-test-pg-", dir="/tmp"))
    try:
        if owner:
            os.chown(folder, pwd.getpwnam(owner).pw_uid, -1)
        server = Postgres(binaries, folder, owner)
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)
