"""Engines that are reached by TLS and by SSH, and in all else are those of this host."""

import asyncio
import os
import shlex
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from eventually import eventually, wait_until
from free_port import free_port
from guest.media import import_image
from integration.docker.private_engine import PrivateEngine
from integration.docker.workloads import IMAGE
from proad.drivers.docker import DockerDriver
from proad.model import ContainerSpec, NetworkAttachment, Resource
from requirements import require_root_and

_USER = "root"
GENEROUS = 60


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def authority(folder: Path) -> Path:
    """Create a folder with a certificate authority and certificates for both ends."""
    folder.mkdir()
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    basic = ("-addext", "basicConstraints=critical,CA:TRUE")
    openssl(folder, "req", "-x509", *new_key, "-subj", "/CN=ca", *basic,
            "-keyout", "ca-key.pem", "-out", "ca.pem", "-days", "2")  # fmt: skip
    for name, prefix in (("server", "server-"), ("client", "")):
        (folder / "extensions").write_text(
            f"subjectAltName=IP:127.0.0.1\nextendedKeyUsage={name}Auth\n"
        )
        openssl(folder, "req", *new_key, "-subj", f"/CN={name}",
                "-keyout", f"{prefix}key.pem", "-out", "request")  # fmt: skip
        openssl(folder, "x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca-key.pem",
                "-CAcreateserial", "-extfile", "extensions", "-days", "2",
                "-out", f"{prefix}cert.pem")  # fmt: skip
    return folder


class TlsEngine(PrivateEngine):
    """A private dockerd that listens on a TCP port of this host, too, and knows its callers by TLS.

    It is given the port as a socket, since it has a network of its own.

    Attributes:
        tcp_url: its address by TLS.
        certificates: the folder of certificates.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        super().__init__(folder)
        folder.mkdir()
        self._arguments = arguments
        self.certificates = authority(folder / "tls")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.pass_fds = (self._listener.fileno(),)
        self.tcp_url = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"

    def command(self) -> list[str]:
        own = {"cacert": "ca.pem", "cert": "server-cert.pem", "key": "server-key.pem"}
        tls = [f"--tls{name}={self.certificates / file}" for name, file in own.items()]
        dockerd = shlex.join(
            [*super().command(), "--host=fd://", "--tlsverify", *tls, *self._arguments]
        )
        # As systemd gives sockets: the first one is descriptor 3 of that very process.
        given = f"exec 3<&{self._listener.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec {dockerd}"
        return ["bash", "-c", given]

    def stop(self) -> None:
        super().stop()
        self._listener.close()


class SshServer:
    """An sshd on a port of this host whose users reach one engine.

    Attributes:
        url: the engine's address by SSH.
        bin: a folder with an `ssh` that knows the server and has a key to it.
    """

    def __init__(self, folder: Path, engine_url: str) -> None:
        require_root_and("/usr/sbin/sshd")
        folder.mkdir()
        port = free_port()
        self.url = f"ssh://{_USER}@127.0.0.1:{port}"
        self.bin = folder / "bin"
        self._folder = folder
        self._port = port
        for name in ("host", "user"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True
            )
        host_key = (folder / "host.pub").read_text()
        (folder / "known").write_text(f"[127.0.0.1]:{port} {host_key}")
        (folder / "client").write_text(
            f"IdentityFile {folder}/user\nUserKnownHostsFile {folder}/known\n"
        )
        (folder / "server").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\n"
            f"AuthorizedKeysFile {folder}/user.pub\nStrictModes no\nUsePAM no\nPidFile none\n"
            f"PasswordAuthentication no\nSetEnv DOCKER_HOST={engine_url}\n"
        )
        self.bin.mkdir()
        (self.bin / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {folder}/client "$@"\n')
        (self.bin / "ssh").chmod(0o755)

    def clients(self) -> list[int]:
        """Return the processes by which somebody is connected."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:  # it has ended
                continue
            if words[0].endswith(b"ssh") and f"{self._folder}/client".encode() in words:
                found.append(int(process.name))
        return found

    @contextmanager
    def running(self) -> Iterator["SshServer"]:
        Path("/run/sshd").mkdir(exist_ok=True)
        with (self._folder / "log").open("ab") as log:
            server = subprocess.Popen(
                ["/usr/sbin/sshd", "-D", "-e", "-f", self._folder / "server"],
                stdout=log, stderr=log,
            )  # fmt: skip
        try:
            wait_until(self._listens, "sshd")
            yield self
        finally:
            server.terminate()
            server.wait(30)

    def _listens(self) -> bool:
        with socket.socket() as caller:
            return caller.connect_ex(("127.0.0.1", self._port)) == 0


class FarEngine:
    """An engine that is reached by TLS and by SSH.

    Args:
        folder: for it.
        arguments: of its dockerd.

    Attributes:
        engine: the engine.
        ssh: the way by SSH.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.engine = TlsEngine(folder / "engine", *arguments)
        self.ssh = SshServer(folder / "ssh", self.engine.url)

    def driver(self, way: str, **settings: Any) -> DockerDriver:
        """Return a driver that goes one of the ways, "tls" or "ssh"."""
        if way == "tls":
            folder = self.engine.certificates
            return DockerDriver(self.engine.tcp_url, cert_path=folder, **settings)
        return DockerDriver(self.ssh.url, **settings)

    async def ready(self) -> None:
        """Wait until the engine answers."""
        async with DockerDriver(self.engine.url) as driver:
            await eventually(lambda: self.engine.answers(driver), within=GENEROUS)

    @classmethod
    @contextmanager
    def running(cls, *arguments: str) -> Iterator["FarEngine"]:
        """Run one, which has the image of the tests."""
        with (
            tempfile.TemporaryDirectory(prefix="proa-test-", ignore_cleanup_errors=True) as name,
            pytest.MonkeyPatch.context() as patch,
        ):
            far = cls(Path(name), *arguments)
            patch.setenv("PATH", with_path(far.ssh.bin))
            far.engine.start()
            try:
                with far.ssh.running():
                    asyncio.run(far.ready())
                    import_image(far.engine.url)
                    yield far
            finally:
                far.engine.stop()


async def made(driver: DockerDriver, *command: str, **fields: object) -> Resource:
    """Make and start a container."""
    network = NetworkAttachment(network="none")
    spec = ContainerSpec(image=IMAGE, command=command, networks=(network,), **fields)  # type: ignore[arg-type]
    return (await driver.create_container(spec, start=True)).resource


def with_path(folder: Path) -> str:
    """Return a PATH that begins with a folder."""
    return f"{folder}{os.pathsep}{os.environ['PATH']}"
