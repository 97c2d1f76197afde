"""Short descriptions of resources for people."""

from proa import v1
from proa.cli.text import human_size, word

_SHORT = 12
_SHORT_UUID = 8


def short_id(resource: v1.Resource) -> str:
    """Return the first digits of a container's id or a UUID, which mostly identify it."""
    length = _SHORT if resource.kind == v1.RESOURCE_KIND_CONTAINER else _SHORT_UUID
    return resource.id[:length]


def short_image_id(id: str) -> str:
    """Return the first digits of an image's id, which mostly identify it."""
    return id.removeprefix("sha256:")[:_SHORT]


def kind(resource: v1.Resource) -> str:
    """Return the kind as a word: container or domain."""
    return word(v1.ResourceKind, v1.ResourceKind.Name(resource.kind))


def engine(ref: v1.EngineRef) -> str:
    """Return the name of an engine as HOST/DRIVER."""
    return f"{ref.host}/{ref.driver}"


def state_word(state: v1.ResourceState.ValueType) -> str:
    """Return a state as a word."""
    return word(v1.ResourceState, v1.ResourceState.Name(state))


def state(resource: v1.Resource) -> str:
    """Return the state with exit code or activity: "running (stop: asking the guest)"."""
    notes = []
    detail = resource.state_detail
    if resource.state == v1.RESOURCE_STATE_STOPPED and detail.HasField("exit_code"):
        notes.append(str(detail.exit_code))
    if resource.HasField("activity"):
        notes.append(_activity(resource.activity))
    return " ".join((state_word(resource.state), *(f"({note})" for note in notes)))


def _activity(activity: v1.Activity) -> str:
    verb = word(v1.Verb, v1.Verb.Name(activity.verb)).replace("-", " ")
    step = f": {activity.step}" if activity.step else ""
    percent = f", {activity.percent} %" if activity.HasField("percent") else ""
    return f"{verb}{step}{percent}"


def what(resource: v1.Resource, *, whole: bool = False) -> str:
    """Return image and ports of a container, or the size of a domain.

    Args:
        resource: the resource.
        whole: whether to show all of the image's id, if the image has no name.
    """
    if resource.WhichOneof("details") == "container":
        image = resource.container.image
        if image == resource.container.image_id and not whole:
            image = short_image_id(image)
        ports = ", ".join(_port(port) for port in resource.container.ports)
        return f"{image}{f'  {ports}' if ports else ''}"
    domain = resource.domain
    return f"{domain.vcpus} vCPU, {human_size(domain.memory_bytes)}"


def _port(port: v1.PublishedPort) -> str:
    protocol = word(v1.PortProtocol, v1.PortProtocol.Name(port.protocol or v1.PORT_PROTOCOL_TCP))
    return f"{port.host_ip or '*'}:{port.host_port}->{port.container_port}/{protocol}"
