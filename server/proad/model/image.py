"""Container images, and the progress of a pull."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from pydantic import Field

from proad.model.checks import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A container image on the host. A list leaves the fields after `labels` empty."""

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    create_time: datetime | None = None
    size_bytes: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    architecture: str = ""
    os: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    exposed_ports: tuple[str, ...] = ()
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDefaults:
    """What an image gives a container that is made from it, without being asked.

    Attributes:
        id: full id of the image.
        working_dir: its working folder; empty: none.
        volumes: where it has a nameless volume each.
    """

    id: str
    working_dir: str = ""
    volumes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFilter:
    """The filter of a list of images."""

    reference: Text = ""
    labels: Mapping[Text, Text] = field(default_factory=dict)
    dangling: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PullProgress:
    """The progress of one layer of a pull; an empty `layer_id` means the whole image."""

    layer_id: str = ""
    status: str = ""
    current_bytes: int = 0
    total_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedImage:
    """The result of the deletion of an image."""

    untagged: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryCredentials:
    """Username and password for a registry; an empty registry means Docker Hub."""

    registry: Text = ""
    username: Annotated[Text, Field(min_length=1)]
    password: Annotated[Text, Field(min_length=1)] = field(repr=False)
