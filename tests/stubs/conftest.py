from collections.abc import Callable

import pytest

from integration.daemon.conftest import Daemon, start_daemon, swept, token
from integration.docker.conftest import raw
from integration.docker.workloads import IMAGE
from proa import v1
from stubs.program import Setting

__all__ = ["raw", "start_daemon", "swept", "token"]


@pytest.fixture(params=["memory", pytest.param("docker", marks=pytest.mark.docker)])
def setting(
    request: pytest.FixtureRequest, start_daemon: Callable[..., Daemon], token: str, swept
) -> Setting:
    """A daemon whose engine has the image of the container that a program makes."""
    if request.param == "docker":
        request.getfixturevalue("raw")
        daemon = start_daemon(PROA_LIBVIRT_URI="")
    else:
        daemon = start_daemon("--memory")
    client = daemon.client()
    swept(client)
    if request.param == "memory":
        for _ in client.images.PullImage(v1.PullImageRequest(image=IMAGE)):
            pass
    return Setting(daemon.address, IMAGE, token)
