"""The kinds of workload that the demo can show on this host."""

from pathlib import Path

import proa
from proa import v1
from report import check, console, say, step, wait_for

# A symbolic link to a folder that QEMU's own user may read.
GUEST_ISO = Path(__file__).parents[2] / "build/guest/guest.iso"
IMAGE = "proa-test/busybox:1"
CONTAINER, DOMAIN = v1.RESOURCE_KIND_CONTAINER, v1.RESOURCE_KIND_DOMAIN
_NO_ENGINE = (
    "there is nothing to show it on. As root on Debian or Ubuntu `make engines` installs and "
    "starts Docker and libvirt; otherwise the lines at the top say what to do"
)


def choose_kinds(client: proa.Client) -> list[v1.ResourceKind.ValueType]:
    """Print the engines of the host, and return the kinds that can be created on them."""
    step("Which engines does this host have?  HostService/GetHost")

    def engines() -> list[v1.Engine]:
        return list(client.hosts.GetHost(v1.GetHostRequest()).host.engines)

    wait_for("the engines' health", 90, lambda: all(engine.health for engine in engines()))
    serving = set()
    for engine in engines():
        health = v1.EngineHealth.Name(engine.health).removeprefix("ENGINE_HEALTH_")
        words = (engine.ref.driver, engine.version, "at", engine.endpoint)
        why = f", {engine.health_message}" if engine.health_message else ""
        say(f"{' '.join(filter(None, words))}: {health}{why}")
        if health == "SERVING":
            serving.add(engine.ref.driver)
    obstacles = {
        CONTAINER: _obstacle_to_container(client, serving),
        DOMAIN: _obstacle_to_machine(serving),
    }
    for kind, obstacle in obstacles.items():
        if obstacle:
            name = "the container" if kind == CONTAINER else "the virtual machine"
            console.print(f"  [bold yellow]left out:[/] {name}, because {obstacle}")
    kinds = [kind for kind, obstacle in obstacles.items() if not obstacle]
    check(bool(kinds), _NO_ENGINE)
    return kinds


def _obstacle_to_container(client: proa.Client, serving: set[str]) -> str:
    if "docker" not in serving:
        return "no Docker Engine answers"
    try:
        client.images.GetImage(v1.GetImageRequest(image=IMAGE))
    except proa.NotFound:
        return f"Docker has no image {IMAGE}; tests/guest/build_image.sh says why"
    return ""


def _obstacle_to_machine(serving: set[str]) -> str:
    if "libvirt" not in serving:
        return "no libvirt answers"
    if not GUEST_ISO.is_file():
        return "there is no guest to boot; tests/guest/build_guest.sh says why"
    return ""
