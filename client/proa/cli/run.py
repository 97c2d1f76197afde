"""run: a container from an image."""

import shlex
from enum import StrEnum
from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration

import proa
from proa import v1
from proa.cli import run_options as parse
from proa.cli.changing import changing
from proa.cli.images import pull_image
from proa.cli.output import write_line, write_message, write_warning
from proa.cli.session import Host, Output, Session
from proa.cli.text import MOST, pairs, signed_size, size


class Pull(StrEnum):
    """When to pull the image first."""

    MISSING = "missing"
    NEVER = "never"
    ALWAYS = "always"


Texts = list[str] | None
Flag = bool


def add_to(app: typer.Typer) -> None:
    """Register the command; what follows the image is the container's own."""
    app.command("run", context_settings={"allow_interspersed_args": False})(changing(run))


def run(
    ctx: typer.Context,
    *,
    image: Annotated[str, typer.Argument(help="Image.")],
    command: Annotated[
        Texts, typer.Argument(metavar="[CMD...]", help="Command and arguments.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name.")] = "",
    env: Annotated[
        Texts, typer.Option("--env", "-e", metavar="NAME[=VALUE]", help="Environment.")
    ] = None,
    publish: Annotated[
        list[v1.PublishedPort] | None,
        typer.Option(
            *("--publish", "-p"),
            parser=parse.port,
            metavar="[[IP:]HOST_PORT:]PORT",
            help="Port to publish.",
        ),
    ] = None,
    volume: Annotated[
        list[v1.Mount] | None,
        typer.Option(
            *("--volume", "-v"),
            parser=parse.volume,
            metavar="[SOURCE:]TARGET[:ro]",
            help="Path of the host, or volume.",
        ),
    ] = None,
    mount: Annotated[
        list[v1.Mount] | None,
        typer.Option(
            parser=parse.mount, metavar="type=…,source=…,target=…", help="The same in full."
        ),
    ] = None,
    tmpfs: Annotated[
        list[v1.Mount] | None,
        typer.Option(
            parser=parse.tmpfs, metavar="TARGET[:size=…,mode=…]", help="File system in memory."
        ),
    ] = None,
    memory: Annotated[
        int | None,
        typer.Option("--memory", "-m", parser=size, metavar="SIZE", help="Most memory."),
    ] = None,
    memory_swap: Annotated[
        int | None,
        typer.Option(parser=signed_size, metavar="SIZE", help="Memory and swap; -1: any."),
    ] = None,
    memory_reservation: Annotated[
        int | None, typer.Option(parser=size, metavar="SIZE", help="Memory when it is short.")
    ] = None,
    cpus: Annotated[float | None, typer.Option(help="CPUs' worth of time; 0: any.")] = None,
    cpuset_cpus: Annotated[str, typer.Option(help="CPUs that it may run on: 0-2,4.")] = "",
    cpu_shares: Annotated[
        int | None, typer.Option(min=0, max=MOST, help="Share of CPU time.")
    ] = None,
    pids_limit: Annotated[
        int | None, typer.Option(min=-1, max=MOST, help="Most processes; 0 or -1: any.")
    ] = None,
    network: Annotated[
        list[v1.NetworkAttachment] | None,
        typer.Option(
            *("--network", "--net"),
            parser=parse.network,
            metavar="NAME",
            help="Network; also none, host, or name=…,alias=…,ip=….",
        ),
    ] = None,
    label: Annotated[
        Texts, typer.Option("--label", "-l", metavar="KEY=VALUE", help="Label.")
    ] = None,
    restart: Annotated[
        v1.RestartPolicy | None,
        typer.Option(
            parser=parse.restart,
            metavar="POLICY",
            help="no, on-failure[:TIMES], always or unless-stopped.",
        ),
    ] = None,
    rm: Annotated[Flag, typer.Option("--rm", help="Delete it when it ends.")] = False,
    init: Annotated[
        bool | None, typer.Option("--init/--no-init", help="A small init as process 1.")
    ] = None,
    tty: Annotated[Flag, typer.Option("--tty", "-t", help="Give it a terminal.")] = False,
    interactive: Annotated[
        Flag, typer.Option("--interactive", "-i", help="Keep its standard input open.")
    ] = False,
    detach: Annotated[  # noqa: ARG001 - only there to be taken
        Flag, typer.Option("--detach", "-d", help="As always; for fingers used to it.")
    ] = False,
    entrypoint: Annotated[
        str | None, typer.Option(help="Entry point in place of the image's; empty: none.")
    ] = None,
    user: Annotated[str, typer.Option("--user", "-u", help="USER[:GROUP].")] = "",
    workdir: Annotated[str, typer.Option("--workdir", "-w", help="Folder to start in.")] = "",
    hostname: Annotated[str, typer.Option("--hostname", "-h", help="Host name inside.")] = "",
    domainname: Annotated[str, typer.Option(help="Domain name inside.")] = "",
    dns: Annotated[Texts, typer.Option(help="Name server.")] = None,
    dns_search: Annotated[Texts, typer.Option(help="Domain that names are looked up in.")] = None,
    add_host: Annotated[
        Texts, typer.Option(metavar="NAME:ADDRESS", help="Line of /etc/hosts.")
    ] = None,
    shm_size: Annotated[
        int | None, typer.Option(parser=size, metavar="SIZE", help="Size of /dev/shm.")
    ] = None,
    ulimit: Annotated[
        list[v1.Ulimit] | None,
        typer.Option(parser=parse.ulimit, metavar="NAME=SOFT[:HARD]", help="Limit of processes."),
    ] = None,
    cap_add: Annotated[Texts, typer.Option(help="Capability to add.")] = None,
    cap_drop: Annotated[Texts, typer.Option(help="Capability to drop.")] = None,
    allow_new_privileges: Annotated[
        bool | None,
        typer.Option(
            "--allow-new-privileges/--no-new-privileges", help="Let sudo and setuid programs work."
        ),
    ] = None,
    device: Annotated[
        list[v1.Device] | None,
        typer.Option(parser=parse.device, metavar="PATH[:PATH[:rwm]]", help="Device of the host."),
    ] = None,
    privileged: Annotated[  # noqa: ARG001 - only there to be refused
        bool, typer.Option("--privileged", hidden=True, callback=parse.no_privileged)
    ] = False,
    group_add: Annotated[Texts, typer.Option(help="Further group.")] = None,
    sysctl: Annotated[Texts, typer.Option(metavar="KEY=VALUE", help="Kernel parameter.")] = None,
    read_only: Annotated[
        Flag, typer.Option("--read-only", help="Root file system read-only.")
    ] = False,
    stop_signal: Annotated[str, typer.Option(help="Signal that asks it to stop.")] = "",
    stop_timeout: Annotated[
        Duration | None,
        typer.Option(parser=parse.proto_duration, metavar="TIME", help="Grace of a stop."),
    ] = None,
    health_cmd: Annotated[str, typer.Option(help="Shell command that checks its health.")] = "",
    health_interval: Annotated[
        Duration | None,
        typer.Option(parser=parse.proto_duration, metavar="TIME", help="Between two checks."),
    ] = None,
    health_timeout: Annotated[
        Duration | None,
        typer.Option(parser=parse.proto_duration, metavar="TIME", help="Longest check."),
    ] = None,
    health_retries: Annotated[
        int,
        typer.Option(min=0, max=MOST, help="Failures that make it unhealthy.", show_default=False),
    ] = 0,
    health_start_period: Annotated[
        Duration | None,
        typer.Option(parser=parse.proto_duration, metavar="TIME", help="Time to come up."),
    ] = None,
    no_healthcheck: Annotated[
        Flag, typer.Option("--no-healthcheck", help="Switch off the image's health check.")
    ] = False,
    log_driver: Annotated[str, typer.Option(help="Log driver.")] = "",
    log_opt: Annotated[
        Texts, typer.Option(metavar="KEY=VALUE", help="Option of the log driver.")
    ] = None,
    display: Annotated[
        v1.ContainerDisplay | None,
        typer.Option(parser=parse.display, metavar="PROTOCOL:PORT", help="Its screen: vnc:5900."),
    ] = None,
    env_unset: Annotated[
        Texts, typer.Option(metavar="NAME", help="Variable of the image to leave out.")
    ] = None,
    env_secret: Annotated[
        Texts,
        typer.Option(
            metavar="NAME[=@FILE]",
            help="Variable that is never shown; @- is standard input, NAME alone a variable of yours.",
        ),
    ] = None,
    secrets_from: Annotated[
        str,
        typer.Option(metavar="ID", help="Container that --env-secret NAME takes its value from."),
    ] = "",
    protect: Annotated[Flag, typer.Option("--protect", help="Refuse to delete it.")] = False,
    no_start: Annotated[Flag, typer.Option("--no-start", help="Create it only.")] = False,
    pull: Annotated[Pull, typer.Option(help="When to pull the image.")] = Pull.MISSING,
    host: Host = "",
    output: Output = None,
) -> None:
    """Create a container and start it in the background, as docker run --detach."""
    session = Session.of(ctx, output)
    spec = v1.ContainerSpec(
        image=image,
        name=name,
        command=command or (),
        entrypoint=() if entrypoint is None else shlex.split(entrypoint) or [""],
        env=parse.environment(env),
        working_dir=workdir,
        user=user,
        hostname=hostname,
        domainname=domainname,
        labels=pairs(label),
        ports=publish,
        mounts=[*(volume or ()), *(mount or ()), *(tmpfs or ())],
        networks=network,
        dns_servers=dns or (),
        dns_search=dns_search or (),
        extra_hosts=parse.hosts(add_host),
        resources=v1.ContainerResources(
            memory_bytes=memory,
            memory_reservation_bytes=memory_reservation,
            memory_swap_bytes=memory_swap,
            cpus=cpus,
            cpuset_cpus=cpuset_cpus,
            cpu_shares=cpu_shares,
            pids_limit=None if pids_limit is None else max(pids_limit, 0),
        ),
        shm_size_bytes=shm_size,
        ulimits=ulimit,
        restart_policy=restart,
        init=init,
        tty=tty,
        stdin_open=interactive,
        read_only_root=read_only,
        cap_add=cap_add or (),
        cap_drop=cap_drop or (),
        allow_new_privileges=allow_new_privileges,
        devices=device,
        group_add=group_add or (),
        sysctls=pairs(sysctl),
        stop_signal=stop_signal,
        stop_timeout=stop_timeout,
        lifetime=v1.LIFETIME_TRANSIENT if rm else v1.LIFETIME_UNSPECIFIED,
        log_driver=log_driver,
        log_options=pairs(log_opt),
        deletion_protection=protect,
        display=display,
        env_unset=env_unset or (),
        env_secret=parse.env_secrets(env_secret, kept=bool(secrets_from)),
    )
    check = v1.HealthCheck(
        shell_command=health_cmd,
        interval=health_interval,
        timeout=health_timeout,
        retries=health_retries,
        start_period=health_start_period,
        disabled=no_healthcheck,
    )
    if check != v1.HealthCheck():
        spec.health_check.CopyFrom(check)
    request = v1.CreateContainerRequest(
        spec=spec, start=not no_start, host=host, secrets_from=secrets_from
    )
    with session.connect() as client:
        response = _create(client, request, pull, quiet=session.as_json)
    for warning in response.warnings:
        write_warning(warning)
    if session.as_json:
        write_message(response.resource)
    else:
        write_line(response.resource.id)


def _create(
    client: proa.Client, request: v1.CreateContainerRequest, pull: Pull, *, quiet: bool
) -> v1.CreateContainerResponse:
    if pull is Pull.ALWAYS:
        pull_image(client, request.spec.image, host=request.host, quiet=quiet)
    try:
        return client.containers.CreateContainer(request)
    except proa.NotFound as error:
        if pull is not Pull.MISSING or error.reason != "IMAGE_NOT_FOUND":
            raise
    pull_image(client, request.spec.image, host=request.host, quiet=quiet)
    return client.containers.CreateContainer(request)
