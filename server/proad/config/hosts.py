"""The hosts whose engines are served."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from proad.config.paths import AbsolutePath
from proad.config.secret_url import SecretUrl
from proad.policy.bounds import texts

LOCAL = "local"

VirtTypeSetting = Literal["auto", "kvm", "qemu"]
"""Acceleration of virtual machines: `auto` uses KVM where available."""


class HostSettings(BaseModel):
    """One `[[host]]` table: the addresses of a host's engines.

    Attributes:
        name: name of the host in requests and resources.
        docker_url: unix://, tcp:// or ssh:// address of a Docker Engine; None for no Docker. A
            host has this or libvirt_uri, or both.
        docker_tls_dir: folder with ca.pem, cert.pem and key.pem for a tcp:// address.
        libvirt_uri: address of libvirt, such as qemu:///system; None for no libvirt.
        virt_type: acceleration of virtual machines on this host.
        libvirt_pool: default storage pool of new volumes.
        libvirt_pool_path: folder of that pool, if it has to be created.
        media_dirs: folders of installation media that requests may name by path, beside the
            folders of the storage pools.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")] = LOCAL
    docker_url: SecretUrl | None = None
    docker_tls_dir: AbsolutePath | None = None
    libvirt_uri: SecretUrl | None = None
    virt_type: VirtTypeSetting = "auto"
    libvirt_pool: Annotated[str, Field(pattern=r"^[^/\x00\n]{1,255}$")] = "default"
    libvirt_pool_path: AbsolutePath = Path("/var/lib/libvirt/images")
    media_dirs: Annotated[tuple[AbsolutePath, ...], BeforeValidator(texts)] = (Path("/srv"),)

    @field_validator("docker_url", "libvirt_uri", mode="after")
    @classmethod
    def _url(cls, value: SecretUrl | None) -> SecretUrl | None:
        if value is None or not value.get_secret_value():
            return None
        _check_address(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _check_engines(self) -> Self:
        if self.docker_url is None and self.libvirt_uri is None:
            raise ValueError(f"{self.name!r} has no engine: set docker_url, libvirt_uri or both")
        return self


def _check_address(text: str) -> None:
    """Refuse texts that are no URL, and URLs whose password has no clear end.

    The error message contains no part of the URL.
    """
    if not re.match(r"[a-z][a-z0-9+]*://", text):
        raise ValueError("is no address such as unix:///path or tcp://host:port")
    try:
        _ = urlsplit(text).port
    except ValueError:
        plain = False
    else:
        plain = re.fullmatch(r"""[^\s"'<>\\]+""", text, re.ASCII) is not None and text.isascii()
    if not plain:
        raise ValueError(
            "is no address that can be read: write what is no letter or digit in a user name "
            "or password as %XX, its code"
        )


DEFAULT_HOST = HostSettings(
    docker_url=SecretUrl("unix:///var/run/docker.sock"), libvirt_uri=SecretUrl("qemu:///system")
)
