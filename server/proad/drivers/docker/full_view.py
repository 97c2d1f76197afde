"""The FULL view of a container, from an inspect."""

from proad.drivers.docker.labels import (
    labelled_creation,
    labelled_display,
    labelled_secrets,
    labelled_volumes,
    visible,
)
from proad.drivers.docker.spec_omits import omitted
from proad.drivers.docker.spec_view import ports_of, spec_of
from proad.drivers.docker.tmpfs import in_memory
from proad.drivers.docker.view import (
    KILLED,
    STATES,
    UNKNOWN,
    UNKNOWN_MESSAGE,
    attached,
    environment,
    exit_reason,
    in_order,
    merged,
    moment,
    mounted,
    to_the_second,
    without,
)
from proad.drivers.tolerant import INT32, Value
from proad.model import (
    ACTIVE,
    Container,
    HealthStatus,
    Lifetime,
    Resource,
    ResourceKind,
    StateDetail,
    StateReason,
)

_HEALTH = {status.lower(): status for status in HealthStatus}


def full(item: Value, id: str, image: Value, *, cgroupns: str = "") -> Resource:
    """Convert to a resource: GET /containers/{id}/json.

    Args:
        item: the answer.
        id: the full id.
        image: the configuration of the container's image; missing if the image is gone.
        cgroupns: the engine's default mode of cgroup namespaces; empty: not known.
    """
    host, config, state = item["HostConfig"], item["Config"], item["State"]
    labels, image_id = config["Labels"].mapping(), item["Image"].text()
    shown = STATES.get(_status(state), UNKNOWN)[0]
    active = shown in ACTIVE
    omissions = omitted(item, image, cgroupns=cgroupns)
    return Resource(
        id=id,
        kind=ResourceKind.CONTAINER,
        name=item["Name"].text().removeprefix("/"),
        state=shown,
        state_detail=_state_detail(state),
        labels=visible(labels),
        creation=labelled_creation(labels, image_id),
        create_time=to_the_second(item["Created"]),
        lifetime=Lifetime.TRANSIENT if host["AutoRemove"].flag() else Lifetime.PERSISTENT,
        container=Container(
            spec=spec_of(item, image, id),
            spec_omits=tuple(omissions),
            omissions=omissions,
            image=config["Image"].text(),
            image_id=image_id,
            command=(path, *item["Args"].texts()) if (path := item["Path"].text()) else (),
            ports=merged(ports_of(item["NetworkSettings"]["Ports"])) if active else (),
            mounts=in_order([*mounted(item["Mounts"]), *in_memory(host, item["Mounts"])]),
            networks=attached(item, id, active=active),
            env=without(labelled_secrets(labels, image_id), environment(config["Env"].texts())),
            working_dir=config["WorkingDir"].text(),
            user=config["User"].text(),
            hostname=config["Hostname"].text(),
            stop_signal=config["StopSignal"].text(),
            restart_count=item["RestartCount"].count(INT32),
            health=_health(state["Health"]["Status"]),
            pid=state["Pid"].count(INT32),
            privileged=host["Privileged"].flag(),
            display=labelled_display(labels),
            carried_volumes=tuple(sorted(labelled_volumes(labels, image_id))),
        ),
    )


def _status(state: Value) -> str:
    # Running stays set while a container is paused, and while it is being restarted.
    if state["Paused"].flag():
        return "paused"
    if state["Restarting"].flag():
        return "restarting"
    status = state["Status"]
    return status.text() if status.one_of(STATES) else ""


def _state_detail(state: Value) -> StateDetail:
    status = _status(state)
    reason = STATES.get(status, UNKNOWN)[1]
    code: int | None = None
    if status in {"exited", "dead", "restarting"}:
        code = state["ExitCode"].number(-INT32, INT32)
    oom_killed = state["OOMKilled"].flag()
    if status == "exited":
        reason = exit_reason(code)
        if code == KILLED:
            # What was killed for want of memory may have been a child that it outlived.
            reason = StateReason.OOM_KILLED if oom_killed else StateReason.KILLED
    return StateDetail(
        reason=reason,
        message=state["Error"].text() or ("" if status else UNKNOWN_MESSAGE),
        exit_code=code,
        oom_killed=oom_killed,
        start_time=moment(state["StartedAt"]),
        finish_time=moment(state["FinishedAt"]),
    )


def _health(status: Value) -> HealthStatus | None:
    return None if status.text() in {"", "none"} else status.one_of(_HEALTH, HealthStatus.OTHER)
