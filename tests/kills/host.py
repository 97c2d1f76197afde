"""This host's engines, and daemons over them, for trials."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import libvirt

from guest.media import import_image
from kills.daemons import Daemons
from kills.truth import Engines, sweep

PREFIX = "proa-test-kills-"
URL = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
URI = os.environ.get("PROA_LIBVIRT_URI", "qemu:///system")


def new_prefix() -> str:
    """Return a prefix of names that nobody else has."""
    return f"{PREFIX}{secrets.token_hex(4)}"


@contextmanager
def host_engines(url: str = URL, uri: str = URI) -> Iterator[Engines]:
    """Provide engines, by default this host's, with a storage pool that only the block uses.

    Raises:
        docker.errors.DockerException, libvirt.libvirtError, OSError: an engine does not answer.
    """
    libvirt.registerErrorHandler(lambda *_: None, None)  # errors are raised, not printed
    client = docker.APIClient(url, timeout=30)
    client.ping()
    connection = libvirt.open(uri)
    import_image(url)
    name = new_prefix()
    folder = Path("/var/tmp") / name
    folder.mkdir(mode=0o755)
    pool = connection.storagePoolCreateXML(
        f"<pool type='dir'><name>{name}</name><target><path>{folder}</path></target></pool>"
    )
    engines = Engines(client, connection, folder, url=url, uri=uri)
    try:
        yield engines
    finally:
        sweep(engines, name)
        pool.destroy()
        folder.rmdir()
        connection.close()
        client.close()


def daemons_over(engines: Engines, home: Path, **options: Any) -> Daemons:
    """Return daemons over these engines; `options` are further arguments of `Daemons`."""
    return Daemons(
        home,
        docker_url=engines.url,
        libvirt_uri=engines.uri,
        pool=engines.pool_path.name,
        pool_path=engines.pool_path,
        **options,
    )
