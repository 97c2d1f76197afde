"""What a container was made from: a specification that makes the same container again.

What the image of the container gives is left out, so that the next container follows its image.
"""

from collections.abc import Iterator
from dataclasses import replace

from proad.drivers.docker.labels import (
    DISPLAY_LABEL,
    labelled_display,
    labelled_secrets,
    labelled_volumes,
    visible,
)
from proad.drivers.docker.security_options import allows_new_privileges
from proad.drivers.docker.tmpfs import in_memory
from proad.drivers.docker.view import PORT, PROTOCOLS, by_number, environment, in_order
from proad.drivers.tolerant import INT32, NOTHING, Value
from proad.model import (
    NETWORK_OF,
    BindMount,
    ContainerResources,
    ContainerSpec,
    Device,
    EnvSecret,
    HealthCheck,
    Lifetime,
    Mount,
    NetworkAttachment,
    PortProtocol,
    PublishedPort,
    RestartPolicy,
    RestartPolicyMode,
    Ulimit,
    VolumeMount,
)

_POLICIES = {
    "": RestartPolicyMode.NO,
    "no": RestartPolicyMode.NO,
    "on-failure": RestartPolicyMode.ON_FAILURE,
    "always": RestartPolicyMode.ALWAYS,
    "unless-stopped": RestartPolicyMode.UNLESS_STOPPED,
}
# Seconds that the contract has room for; less than 0 is Docker's word for "for ever".
_LONGEST = 315_576_000_000
_DEFAULT_NETWORKS = frozenset({"", "default", "bridge"})


def spec_of(item: Value, image: Value, id: str) -> ContainerSpec:
    """Return the specification of an inspected container.

    Args:
        item: GET /containers/{id}/json.
        image: the configuration of its image; missing if the image is gone.
        id: the full id of the container.
    """
    host, config = item["HostConfig"], item["Config"]
    labels, inherited = config["Labels"].mapping(), image["Labels"].mapping()
    own = {key: value for key, value in visible(labels).items() if inherited.get(key) != value}
    display = labelled_display(own)
    if display is not None:
        del own[DISPLAY_LABEL]
    command, entrypoint = _words(config, image)
    hostname = config["Hostname"].text()
    lines = config["Env"].texts()
    env, given = environment(lines), set(image["Env"].texts())
    secrets = labelled_secrets(labels, item["Image"].text()) & env.keys()
    mode = host["NetworkMode"].text()
    return ContainerSpec(
        image=config["Image"].text(),
        name=item["Name"].text().removeprefix("/"),
        command=command,
        entrypoint=entrypoint,
        env={
            name: value
            for name, value in env.items()
            if f"{name}={value}" not in given and name not in secrets
        },
        env_secret={name: EnvSecret(redacted=True) for name in sorted(secrets)},
        env_unset=tuple(line for line in lines if line not in {*env, *given} and "=" not in line),
        working_dir=_unless_given(config["WorkingDir"].text(), image["WorkingDir"].text()) or None,
        user=_unless_given(config["User"].text(), image["User"].text()),
        # That of another container is its, too.
        hostname="" if hostname == id[:12] or mode.startswith(NETWORK_OF) else hostname,
        domainname="" if mode.startswith(NETWORK_OF) else config["Domainname"].text(),
        labels=own,
        display=display,
        ports=by_number(ports_of(host["PortBindings"])),
        mounts=in_order(_mounts(item, image, labelled_volumes(labels, item["Image"].text()))),
        networks=_networks(item, id),
        dns_servers=host["Dns"].texts(),
        dns_search=host["DnsSearch"].texts(),
        extra_hosts={name: ip for line in host["ExtraHosts"].texts() for name, ip in [_host(line)]},
        resources=_resources(host),
        shm_size_bytes=host["ShmSize"].count() or None,
        ulimits=tuple(_ulimits(host["Ulimits"])),
        restart_policy=_restart_policy(host["RestartPolicy"]),
        health_check=_health_check(config["Healthcheck"], image["Healthcheck"]),
        init=None if host["Init"].raw is None else host["Init"].flag(),
        tty=config["Tty"].flag(),
        stdin_open=config["OpenStdin"].flag(),
        read_only_root=host["ReadonlyRootfs"].flag(),
        cap_add=host["CapAdd"].texts(),
        cap_drop=host["CapDrop"].texts(),
        devices=tuple(
            Device(
                host_path=device["PathOnHost"].text(),
                container_path=device["PathInContainer"].text(),
                permissions=device["CgroupPermissions"].text(),
            )
            for device in host["Devices"].each()
        ),
        group_add=host["GroupAdd"].texts(),
        sysctls=host["Sysctls"].mapping(),
        stop_signal=_unless_given(config["StopSignal"].text(), image["StopSignal"].text()),
        stop_timeout=config["StopTimeout"].seconds(-_LONGEST, _LONGEST),
        lifetime=Lifetime.TRANSIENT if host["AutoRemove"].flag() else Lifetime.PERSISTENT,
        log_driver=host["LogConfig"]["Type"].text(),
        log_options=host["LogConfig"]["Config"].mapping(),
        allow_new_privileges=allows_new_privileges(host["SecurityOpt"]),
    )


def ports_of(ports: Value) -> Iterator[PublishedPort]:
    """Return the ports of a table of bindings."""
    for key, bindings in ports.entries():
        number, _, word = key.partition("/")
        inner = bindings.instead(number).number(1, PORT)
        protocol = bindings.instead(word).one_of(PROTOCOLS, PortProtocol.OTHER)
        for binding in bindings.each():
            if inner is None or protocol is None:
                break
            yield PublishedPort(
                container_port=inner,
                host_port=_host_port(binding["HostPort"]),
                host_ip=binding["HostIp"].text(),
                protocol=protocol,
            )


def bind_of(bind: str) -> tuple[str, str, str]:
    """Return source, target and options of a bind; without a source, the target alone."""
    first, *rest = bind.split(":", 2)
    if not rest:
        return "", first, ""
    return first, rest[0], rest[1] if len(rest) > 1 else ""


def _unless_given(value: str, given: str) -> str:
    return "" if value == given else value


def _words(config: Value, image: Value) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return command and entrypoint. Docker takes the image's command with its entrypoint only."""
    command, entrypoint = config["Cmd"].texts(), config["Entrypoint"].texts()
    inherits = entrypoint == image["Entrypoint"].texts()
    if inherits and command == image["Cmd"].texts():
        return (), ()
    if inherits and command:
        return command, ()
    return command, entrypoint or ("",)


def _host(line: str) -> tuple[str, str]:
    name, _, address = line.partition(":")
    return name, address


def _host_port(port: Value) -> int | None:
    """Read a port of the host; None: Docker picks one, of all or of a range such as "80-90"."""
    text = port.text()
    if not text or "-" in text:
        return None
    return port.number(0, PORT) or None


def _ulimits(limits: Value) -> Iterator[Ulimit]:
    for limit in limits.each():
        soft, hard = limit["Soft"].number(-1), limit["Hard"].number(-1)
        if soft is not None and hard is not None:
            yield Ulimit(name=limit["Name"].text(), soft=soft, hard=hard)


def _resources(host: Value) -> ContainerResources:
    memory, swap = host["Memory"].count(), host["MemorySwap"].number(-1) or 0
    return ContainerResources(
        memory_bytes=memory,
        memory_reservation_bytes=host["MemoryReservation"].count(),
        memory_swap_bytes=None if swap == 2 * memory else swap,
        cpus=_cpus(host),
        cpuset_cpus=host["CpusetCpus"].text(),
        cpu_shares=host["CpuShares"].count(INT32) or None,
        pids_limit=max(host["PidsLimit"].number(-1, INT32) or 0, 0),  # -1 is no limit, too
    )


def _cpus(host: Value) -> float:
    if nanos := host["NanoCpus"].count():
        return nanos / 1e9
    if (quota := host["CpuQuota"].number(-1) or 0) > 0:
        return quota / (host["CpuPeriod"].count() or 100_000)
    return 0.0


def _restart_policy(policy: Value) -> RestartPolicy:
    return RestartPolicy(
        mode=policy["Name"].one_of(_POLICIES, RestartPolicyMode.OTHER) or RestartPolicyMode.NO,
        max_retries=policy["MaximumRetryCount"].count(INT32),
    )


def _health_check(check: Value, given: Value) -> HealthCheck | None:
    """Return what a container has beyond the check of its image; Docker fills in each field."""
    has = _check(check)
    from_image = _check(given)
    if has == from_image:
        return None
    if has.command or has.shell_command or has.disabled:
        same = (has.command, has.shell_command, has.disabled) == (
            from_image.command,
            from_image.shell_command,
            from_image.disabled,
        )
        if same:
            has = replace(has, command=(), shell_command="", disabled=False)
    return replace(
        has,
        interval=None if has.interval == from_image.interval else has.interval,
        timeout=None if has.timeout == from_image.timeout else has.timeout,
        retries=0 if has.retries == from_image.retries else has.retries,
        start_period=None if has.start_period == from_image.start_period else has.start_period,
    )


def _check(check: Value) -> HealthCheck:
    sort, *words = check["Test"].texts() or ("",)
    return HealthCheck(
        command=tuple(words) if sort == "CMD" else (),
        shell_command=" ".join(words) if sort == "CMD-SHELL" else "",
        disabled=sort == "NONE",
        interval=check["Interval"].nanoseconds(),
        timeout=check["Timeout"].nanoseconds(),
        retries=check["Retries"].count(INT32),
        start_period=check["StartPeriod"].nanoseconds(),
    )


def _mounts(item: Value, image: Value, anonymous: frozenset[str]) -> Iterator[Mount]:
    """Return the mounts that were asked for. `anonymous` are volumes kept over a recreation."""
    from_image = {target for target, _ in image["Volumes"].entries()}
    found: set[str] = set()
    for mount in _asked(item, anonymous):
        found.add(mount.target)
        nameless = mount.volume is not None and not mount.volume.name
        if not (nameless and not mount.read_only and mount.target in from_image):
            yield mount
    for target, _ in item["Config"]["Volumes"].entries():
        if target not in found | from_image:
            yield Mount(target=target, volume=VolumeMount())


def _asked(item: Value, anonymous: frozenset[str]) -> Iterator[Mount]:
    host = item["HostConfig"]
    yield from in_memory(host, NOTHING)
    for mount in host["Mounts"].each():
        target, source = mount["Target"].text(), mount["Source"].text()
        read_only = mount["ReadOnly"].flag()
        if mount["Type"].text() == "bind":
            yield Mount(target=target, read_only=read_only, bind=BindMount(source=source))
        elif mount["Type"].text() == "volume":
            name = "" if source in anonymous else source
            yield Mount(target=target, read_only=read_only, volume=VolumeMount(name=name))
    for bind in host["Binds"].texts():
        source, target, options = bind_of(bind)
        read_only = "ro" in options.split(",")
        if source.startswith("/"):
            yield Mount(target=target, read_only=read_only, bind=BindMount(source=source))
        else:
            yield Mount(target=target, read_only=read_only, volume=VolumeMount(name=source))


def _networks(item: Value, id: str) -> tuple[NetworkAttachment, ...]:
    """Return the networks that were asked for, the one that Docker takes at the create first."""
    mode = item["HostConfig"]["NetworkMode"].text()
    first = NetworkAttachment(network=mode)
    if first.stands_alone:
        return (first,)
    attached = []
    for name, endpoint in item["NetworkSettings"]["Networks"].entries():
        wish = endpoint["IPAMConfig"]
        attachment = NetworkAttachment(
            network=name,
            # Docker itself adds the short id.
            aliases=tuple(alias for alias in endpoint["Aliases"].texts() if alias != id[:12]),
            ipv4_address=wish["IPv4Address"].text(),
            ipv6_address=wish["IPv6Address"].text(),
        )
        leads = mode in {name, endpoint["NetworkID"].text()}
        default = mode in _DEFAULT_NETWORKS and name == "bridge"
        attached.append((not (leads or default), name, attachment))
    networks = tuple(attachment for _, _, attachment in sorted(attached, key=lambda each: each[:2]))
    if mode in _DEFAULT_NETWORKS and networks == (NetworkAttachment(network="bridge"),):
        return ()
    return networks
