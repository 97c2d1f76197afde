"""update, rename, recreate: changes of existing resources."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from google.protobuf.field_mask_pb2 import FieldMask

import proa
from proa import v1
from proa.cli.changing import changing
from proa.cli.output import write_line, write_message, write_warning
from proa.cli.run_options import env_secrets, environment
from proa.cli.run_options import restart as restart_policy
from proa.cli.session import Etag, Id, Output, Session
from proa.cli.text import MOST, pairs, signed_size, size
from proa.cli.verbs import line

_LIMITS = "resources."
# Fields of the request that are blamed for a specification of the other kind.
_KINDS = frozenset({"container", "domain"})


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("update")(changing(update))
    app.command("rename")(changing(rename))
    app.command("recreate")(changing(recreate))


def update(
    ctx: typer.Context,
    *,
    id: Id,
    memory: Annotated[
        int | None, typer.Option("--memory", "-m", parser=size, metavar="SIZE", help="Memory.")
    ] = None,
    memory_swap: Annotated[
        int | None,
        typer.Option(parser=signed_size, metavar="SIZE", help="Containers: memory and swap."),
    ] = None,
    cpus: Annotated[float | None, typer.Option(help="Containers: CPUs' worth of time.")] = None,
    cpuset_cpus: Annotated[
        str | None, typer.Option(help="Containers: CPUs that it may run on.")
    ] = None,
    pids_limit: Annotated[
        int | None,
        typer.Option(min=-1, max=MOST, help="Containers: most processes; -1: any."),
    ] = None,
    restart: Annotated[
        v1.RestartPolicy | None,
        typer.Option(parser=restart_policy, metavar="POLICY", help="Containers: restart policy."),
    ] = None,
    vcpus: Annotated[int | None, typer.Option(min=0, max=MOST, help="VMs: virtual CPUs.")] = None,
    autostart: Annotated[
        bool | None, typer.Option(help="VMs: start it when the host starts.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="VMs: title; empty removes it.")] = None,
    description: Annotated[
        str | None, typer.Option(help="VMs: description; empty removes it.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", "-l", metavar="KEY=VALUE", help="These labels and no others."),
    ] = None,
    clear_labels: Annotated[
        bool, typer.Option("--clear-labels", help="No labels any more.")
    ] = False,
    protect: Annotated[bool | None, typer.Option(help="Refuse to delete it, or allow it.")] = None,
    etag: Etag = "",
    output: Output = None,
) -> None:
    """Change limits, labels and the like; what is not named stays."""
    session = Session.of(ctx, output)
    limits = {
        "memory_swap_bytes": memory_swap,
        "cpus": cpus,
        "cpuset_cpus": cpuset_cpus,
        "pids_limit": None if pids_limit is None else max(pids_limit, 0),
    }
    of_container = _given({"restart_policy": restart}) | _given(limits, _LIMITS)
    of_domain = _given(
        {"vcpus": vcpus, "autostart": autostart, "title": title, "description": description}
    )
    labels = pairs(label) if label or clear_labels else None
    of_both = _given({"labels": labels, "deletion_protection": protect})
    if of_container and of_domain:
        raise typer.BadParameter("these options are of containers and of VMs; choose")
    if not of_container and not of_domain and not of_both and memory is None:
        raise typer.BadParameter("nothing to change; see proa update --help")
    with session.connect() as client:
        is_container = bool(of_container) or (not of_domain and _is_container(client, id))
        size = _given({"memory_bytes": memory}, _LIMITS if is_container else "")
        changes = of_container | of_domain | of_both | size
        request = _request(id, changes, is_container=is_container, etag=etag)
        try:
            response = client.resources.UpdateResource(request)
        except proa.InvalidArgument as error:
            if any(each.field in _KINDS for each in error.violations):
                is_, of = (
                    ("virtual machine", "containers") if is_container else ("container", "VMs")
                )
                raise typer.BadParameter(
                    f"{id!r} is a {is_}, and these options are of {of}"
                ) from None
            raise
    if session.as_json:
        write_message(response)
        return
    write_line(line(response.resource))
    if response.restart_required:
        fields = ", ".join(response.restart_required)
        write_warning(f"takes effect at the next start: {fields}")


def _given(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the options that were given, by their paths in the specification."""
    return {prefix + name: value for name, value in options.items() if value is not None}


def _request(
    id: str, changes: Mapping[str, Any], *, is_container: bool, etag: str = ""
) -> v1.UpdateResourceRequest:
    request = v1.UpdateResourceRequest(id=id, etag=etag, update_mask=FieldMask(paths=changes))
    if is_container:
        limits = {
            path.removeprefix(_LIMITS): value
            for path, value in changes.items()
            if path.startswith(_LIMITS)
        }
        whole = {path: value for path, value in changes.items() if not path.startswith(_LIMITS)}
        resources = v1.ContainerResources(**limits)
        request.container.CopyFrom(v1.ContainerSpec(resources=resources, **whole))
    else:
        request.domain.CopyFrom(v1.DomainSpec(**changes))
    return request


def _is_container(client: proa.Client, id: str) -> bool:
    request = v1.GetResourceRequest(id=id, view=v1.RESOURCE_VIEW_SUMMARY)
    resource = client.resources.GetResource(request).resource
    return resource.kind == v1.RESOURCE_KIND_CONTAINER


def rename(
    ctx: typer.Context,
    *,
    id: Id,
    name: Annotated[str, typer.Argument(help="The new name.")],
    output: Output = None,
) -> None:
    """Give a container or a stopped virtual machine another name."""
    session = Session.of(ctx, output)
    with session.connect() as client:
        request = _request(id, {"name": name}, is_container=_is_container(client, id))
        resource = client.resources.UpdateResource(request).resource
    if session.as_json:
        write_message(resource)
    else:
        write_line(line(resource))


def recreate(
    ctx: typer.Context,
    *,
    id: Id,
    image: Annotated[str | None, typer.Option(help="Another image.")] = None,
    env: Annotated[
        list[str] | None,
        typer.Option("--env", "-e", metavar="NAME=VALUE", help="This environment and no other."),
    ] = None,
    env_secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=@FILE]",
            help="These secrets and no others; NAME alone keeps the one that it has.",
        ),
    ] = None,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="CMD", help="Another command.")
    ] = None,
    etag: Etag = "",
    output: Output = None,
) -> None:
    """Make a container again in its own place: with the newest image of its name, or changes."""
    session = Session.of(ctx, output)
    changes = _given(
        {
            "image": image,
            "env": environment(env) if env is not None else None,
            "env_secret": env_secrets(env_secret, kept=True) if env_secret is not None else None,
            "command": command or None,
        }
    )
    request = v1.RecreateContainerRequest(
        id=id,
        spec=v1.ContainerSpec(**changes),
        update_mask=FieldMask(paths=changes),
        etag=etag,
    )
    with session.connect() as client:
        response = client.containers.RecreateContainer(request)
    for warning in response.warnings:
        write_warning(warning)
    if session.as_json:
        write_message(response.resource)
    else:
        write_line(line(response.resource))
