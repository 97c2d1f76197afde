"""Paths of the host that no container may have, whatever a policy says."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from sqlalchemy.engine import make_url

from proad.config.hosts import HostSettings
from proad.config.listen import UnixAddress
from proad.config.settings import Settings

# Where engines have their sockets, state and configuration unless they are told otherwise.
_ENGINES = (
    *("/run/docker.sock", "/run/docker", "/var/lib/docker", "/etc/docker"),
    *("/run/containerd", "/var/lib/containerd", "/etc/containerd"),
    *("/run/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/etc/libvirt"),
    *("/run/podman", "/var/lib/containers", "/etc/containers", "/run/crio"),
)


def protected_paths(settings: Settings) -> tuple[str, ...]:
    """Return the sockets, state and keys of the engines and of the daemon itself."""
    ours = [settings.state_dir, settings.tls_key_file, settings.login_socket]
    ours += [address.path for address in settings.listen if isinstance(address, UnixAddress)]
    ours += [path for host in settings.hosts for path in _sockets(host)]
    database = make_url(settings.database_url.get_secret_value())
    if database.get_backend_name() == "sqlite" and database.database:
        ours.append(Path(database.database).absolute())
    return tuple(dict.fromkeys([*_ENGINES, *(str(path) for path in ours if path is not None)]))


def _sockets(host: HostSettings) -> list[Path]:
    """Return the sockets that the addresses of a host's engines name."""
    found: list[str] = []
    if host.docker_url is not None:
        url = urlsplit(host.docker_url.get_secret_value())
        found += [url.path] if url.scheme == "unix" else []
    if host.libvirt_uri is not None:
        query = parse_qs(urlsplit(host.libvirt_uri.get_secret_value()).query)
        found += query.get("socket", [])
    return [Path(path) for path in found if path.startswith("/")]
