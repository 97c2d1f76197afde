"""What the streams of `inside` are in: containers, a guest, imitated workloads."""

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import proa
from eventually import wait_until
from guest.media import medium
from integration.daemon.conftest import Daemon
from proa import v1
from soak.inside_crowd import ECHO, LARGE, LOGGED
from soak.setting import IMAGE

Streams = tuple[tuple[str, str], ...]
"""The name of each, and the resource."""

ON_ENGINES, IN_MEMORY = 187, 124
"""How many streams there are of each."""

_TALK = "i=0; while :; do i=$((i+1)); echo $i; usleep 50000; done"
_SERVE = f"head -c 64000000 /dev/zero >{LARGE}; echo ready; exec nc -ll -p {ECHO} -e cat"


@contextmanager
def media(prefix: str) -> Iterator[Path]:
    """Give a folder with the medium of the guest, where QEMU's user may read."""
    folder = Path("/var/tmp") / prefix
    folder.mkdir(mode=0o755)
    try:
        shutil.copy(medium("guest.iso"), folder)
        (folder / "guest.iso").chmod(0o644)
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def resources(served: Daemon, prefix: str, media: Path) -> Iterator[list[Streams]]:
    """Make containers and a guest; give the streams of each client."""
    made: list[str] = []
    with served.client() as client:
        try:

            def box(name: str, *argv: str, **spec: object) -> str:
                made.append(_container(client, f"{prefix}-{name}", argv, **spec))
                return made[-1]

            guest = v1.DomainSpec(
                name=f"{prefix}-guest",
                memory_bytes=160 << 20,
                cdroms=[v1.CdromSpec(path=str(media / "guest.iso"))],
                diskless=True,
                networks=[v1.NetworkSpec()],
                graphics=v1.GraphicsSpec(type=v1.GRAPHICS_TYPE_NONE),
            )
            request = v1.CreateDomainRequest(spec=guest, start=True)
            made.append(client.domains.CreateDomain(request).resource.id)
            talk, logged = box("talk", "sh", "-c", _TALK), box("log", "seq", str(LOGGED))
            boxes = [box(f"box{number}", "sh", "-c", _SERVE) for number in range(3)]
            cats = [box(f"cat{number}", "cat", stdin_open=True) for number in range(6)]
            for each in boxes:
                wait_until(lambda each=each: b"ready" in _log(client, each), "it serves")  # type: ignore[misc]
            wait_until(lambda: _page(client, made[0]), "the guest serves", within=120)
            of_guest = Counter(console=1, exec_seq=2, port_page=3, files=1)
            yield [
                *(
                    _streams(boxes[number % 3], exec_echo=8, exec_seq=1, port_echo=6, files=2)
                    + _streams(talk, log_followed=3, attach_read=3)
                    + _streams(logged, log_whole=1)
                    + _streams(cats[number], attach_echo=1)
                    + _streams(boxes[number % 3], exec_unread=1, exec_untaken=1, port_unread=1)
                    + _streams(boxes[number % 3], file_unread=1)
                    + _streams(logged, log_unread=1)
                    for number in range(6)
                ),
                _streams(made[0], **of_guest),
            ]
        finally:
            for id in made:
                with suppress(proa.NotFound):
                    client.resources.DeleteResource(v1.DeleteResourceRequest(id=id, force=True))


@contextmanager
def imitated(served: Daemon) -> Iterator[list[Streams]]:
    with served.client() as client:
        box = _container(client, "box", ("sleep", "100000"))
        logged = _container(client, "log", ("seq", str(LOGGED)))
        yield [
            _streams(box, exec_echo=12, exec_seq=1, port_echo=8, files=3)
            + _streams(box, exec_unread=2, exec_untaken=1, port_unread=1)
            + _streams(logged, log_whole=2, log_unread=1)
            for _ in range(4)
        ]


def _streams(id: str, **number: int) -> Streams:
    return tuple((name, id) for name, many in number.items() for _ in range(many))


def _container(client: proa.Client, name: str, argv: Sequence[str], **spec: object) -> str:
    wanted = v1.ContainerSpec(image=IMAGE, name=name, command=argv, stop_signal="SIGKILL", **spec)  # type: ignore[arg-type]
    request = v1.CreateContainerRequest(spec=wanted, start=True)
    return client.containers.CreateContainer(request).resource.id


def _log(client: proa.Client, id: str) -> bytes:
    return b"".join(line.data for line in client.logs(id))


def _page(client: proa.Client, id: str) -> bool:
    with suppress(proa.Error), client.forward_port(id, 80) as connection:
        connection.write(b"GET / HTTP/1.0\r\n\r\n")
        return b"hello" in b"".join(connection)
    return False
