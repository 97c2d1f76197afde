"""What is on the engines, by their own word, in lines that can be compared."""

import re
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import libvirt

_STATES = {
    libvirt.VIR_DOMAIN_RUNNING: "running",
    libvirt.VIR_DOMAIN_PAUSED: "paused",
    libvirt.VIR_DOMAIN_SHUTOFF: "stopped",
}
_NONCE = re.compile(r"-[0-9a-f]{8}\.")

Truth = Counter[str]


class Engines:
    """A Docker Engine, a libvirtd and a storage pool, past the daemon."""

    def __init__(
        self,
        docker: docker.APIClient,
        libvirt: libvirt.virConnect,
        pool_path: Path,
        *,
        url: str,
        uri: str,
    ) -> None:
        self.docker = docker
        self.libvirt = libvirt
        self.pool_path = pool_path
        self.url = url
        self.uri = uri

    def truth(self, prefix: str) -> Truth:
        """Return a line for each thing whose name begins with `prefix`."""
        return Counter([*self._containers(prefix), *self._domains(prefix), *self._files(prefix)])

    def _containers(self, prefix: str) -> list[str]:
        found = []
        for each in self.docker.containers(all=True, filters={"name": prefix}):
            with suppress(docker.errors.NotFound):
                shown = self.docker.inspect_container(each["Id"])
                if shown["Name"].startswith(f"/{prefix}"):
                    found.append(_container(shown))
        volumes = self.docker.volumes(filters={"name": prefix})["Volumes"] or []
        found += [f"docker volume {each['Name']}" for each in volumes]
        for image in self.docker.images():
            tags = [tag for tag in image["RepoTags"] or [] if tag.startswith(prefix)]
            found += [f"image {tag}" for tag in tags]
        return found

    def _domains(self, prefix: str) -> list[str]:
        found = []
        for domain in self.libvirt.listAllDomains():
            try:
                if not domain.name().startswith(prefix):
                    continue
                state = _STATES.get(domain.state()[0], "other")
                snapshots = sorted(each.getName() for each in domain.listAllSnapshots())
                saved = domain.hasManagedSaveImage()
                title = ""
                with suppress(libvirt.libvirtError):
                    title = domain.metadata(libvirt.VIR_DOMAIN_METADATA_TITLE, None)
                found.append(
                    f"domain {domain.name()} {state} {title!r} autostart={domain.autostart()}"
                    f" saved={saved} snapshots={snapshots}"
                )
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:  # gone meanwhile
                    raise
        return found

    def _files(self, prefix: str) -> list[str]:
        names = (each.name for each in self.pool_path.iterdir() if each.name.startswith(prefix))
        return [f"file {_NONCE.sub('-#.', name)}" for name in names]


def _container(shown: dict[str, Any]) -> str:
    name, state, limits = shown["Name"][1:], shown["State"]["Status"], shown["HostConfig"]
    networks = sorted(shown["NetworkSettings"]["Networks"])
    restart = limits["RestartPolicy"]["Name"] or "no"
    return (
        f"container {name} {state} memory={limits['Memory']} restart={restart} networks={networks}"
    )


def sweep(engines: Engines, prefix: str) -> None:
    """Remove everything whose name begins with `prefix`."""
    _sweep_docker(engines, prefix)
    for domain in engines.libvirt.listAllDomains():
        with suppress(libvirt.libvirtError):
            if domain.name().startswith(prefix):
                if domain.isActive():
                    domain.destroy()
                domain.undefineFlags(
                    libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
                    | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
                )
    for file in engines.pool_path.iterdir():
        if file.name.startswith(prefix):
            file.unlink(missing_ok=True)


def _sweep_docker(engines: Engines, prefix: str) -> None:
    for each in engines.docker.containers(all=True, filters={"name": prefix}):
        with suppress(docker.errors.APIError):
            engines.docker.remove_container(each["Id"], force=True, v=True)
    for each in engines.docker.volumes(filters={"name": prefix})["Volumes"] or []:
        with suppress(docker.errors.APIError):
            engines.docker.remove_volume(each["Name"])
    for image in engines.docker.images():
        for tag in image["RepoTags"] or []:
            if tag.startswith(prefix):
                engines.docker.remove_image(tag)
