"""Print the versions of the engines that `run.sh` has started, in one line."""

import os

import docker
import libvirt


def dotted(version: int) -> str:
    """Return a version as libvirt packs it, such as 11003000, in words."""
    return f"{version // 1_000_000}.{version // 1_000 % 1_000}.{version % 1_000}"


engine = docker.APIClient(os.environ["DOCKER_HOST"]).version(api_version=False)
connection = libvirt.open(os.environ["PROA_LIBVIRT_URI"])
print(  # noqa: T201 - what it is for
    f"Docker {engine['Version']} (API {engine['MinAPIVersion']} to {engine['ApiVersion']}), "
    f"libvirt {dotted(connection.getLibVersion())}, QEMU {dotted(connection.getVersion())}"
)
