"""vm create, vm xml."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from proa import v1
from proa.cli import vm_options as parse
from proa.cli.changing import changing
from proa.cli.output import write_document, write_line, write_message
from proa.cli.session import Host, Id, Output, Session
from proa.cli.text import MOST, one_of, pairs, size, words

app = typer.Typer(help="Virtual machines; all else is as with containers.", no_args_is_help=True)


@app.command()
@changing
def create(
    ctx: typer.Context,
    *,
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="Name; with --xml it is in there.")
    ] = "",
    memory: Annotated[
        int | None,
        typer.Option("--memory", "-m", parser=size, metavar="SIZE", help="Memory, such as 2GiB."),
    ] = None,
    vcpus: Annotated[
        int, typer.Option(min=0, max=MOST, help="Virtual CPUs.", show_default="1")
    ] = 0,
    cdrom: Annotated[
        list[v1.CdromSpec] | None,
        typer.Option(
            parser=parse.cdrom,
            metavar="PATH",
            help="Installation medium on the host, volume=POOL/NAME, or empty; repeat it for drivers.",
        ),
    ] = None,
    disk: Annotated[
        list[v1.DiskSpec] | None,
        typer.Option(
            parser=parse.disk,
            metavar="SIZE|base=…|volume=…",
            help="10GiB, base=POOL/NAME, volume=POOL/NAME, with ,size= ,pool= ,name= ,format= "
            ",base-format= ,bus= ,ro"
            " after it; none: no disk. Default: 10GiB.",
        ),
    ] = None,
    boot: Annotated[
        list[v1.BootDevice.ValueType] | None,
        typer.Option(
            parser=one_of(v1.BootDevice),
            metavar="DEVICE",
            help=f"Boot order: {words(v1.BootDevice)}.",
        ),
    ] = None,
    uefi: Annotated[bool, typer.Option("--uefi", help="UEFI in place of BIOS.")] = False,
    network: Annotated[
        list[v1.NetworkSpec] | None,
        typer.Option(
            parser=parse.network,
            metavar="NAME[,model=…][,mac=…]",
            help="Network; none: no card. Default: default.",
        ),
    ] = None,
    screen: Annotated[
        v1.GraphicsType.ValueType | None,
        typer.Option(
            parser=one_of(v1.GraphicsType),
            metavar="TYPE",
            help=f"{words(v1.GraphicsType)}. vnc has no port of the host.",
        ),
    ] = None,
    video: Annotated[
        v1.VideoModel.ValueType | None,
        typer.Option(
            parser=one_of(v1.VideoModel), metavar="MODEL", help=f"{words(v1.VideoModel)}."
        ),
    ] = None,
    no_agent: Annotated[
        bool, typer.Option("--no-agent", help="No channel for the guest agent.")
    ] = False,
    no_serial: Annotated[bool, typer.Option("--no-serial", help="No serial console.")] = False,
    autostart: Annotated[
        bool, typer.Option("--autostart", help="Start it when the host starts.")
    ] = False,
    machine: Annotated[str, typer.Option(help="Machine type, such as q35.")] = "",
    cpu_mode: Annotated[
        v1.CpuMode.ValueType | None,
        typer.Option(parser=one_of(v1.CpuMode), metavar="MODE", help=f"{words(v1.CpuMode)}."),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", "-l", metavar="KEY=VALUE", help="Label.")
    ] = None,
    title: Annotated[str, typer.Option(help="Title, one line.")] = "",
    description: Annotated[str, typer.Option(help="Description.")] = "",
    uuid: Annotated[str, typer.Option(help="UUID; default: libvirt invents one.")] = "",
    transient: Annotated[
        bool, typer.Option("--transient", help="Gone when it stops; started at once.")
    ] = False,
    protect: Annotated[
        bool, typer.Option("--protect", help="Refuse to delete it and its disks.")
    ] = False,
    xml: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="libvirt's XML in place of the options; -: stdin."),
    ] = None,
    start: Annotated[bool, typer.Option("--start", help="Start it.")] = False,
    host: Host = "",
    output: Output = None,
) -> None:
    """Create a virtual machine, from options or from libvirt's XML."""
    session = Session.of(ctx, output)
    lifetime = v1.LIFETIME_TRANSIENT if transient else v1.LIFETIME_UNSPECIFIED
    if xml is not None:
        if name:
            raise typer.BadParameter("the name is in the XML; leave it out")
        text = sys.stdin.read() if str(xml) == "-" else xml.read_text()
        from_xml = v1.CreateDomainFromXmlRequest(
            xml=text, start=start, lifetime=lifetime, host=host, deletion_protection=protect
        )
        with session.connect() as client:
            _show(session, client.domains.CreateDomainFromXml(from_xml).resource)
        return
    if not name or memory is None:
        raise typer.BadParameter("give a NAME and --memory, or --xml FILE")
    spec = v1.DomainSpec(
        name=name,
        uuid=uuid,
        title=title,
        description=description,
        memory_bytes=memory,
        vcpus=vcpus,
        cdroms=cdrom,
        disks=[one for one in disk or () if one != v1.DiskSpec()],
        diskless=disk == [v1.DiskSpec()],
        boot_order=boot,
        firmware=v1.FIRMWARE_UEFI if uefi else v1.FIRMWARE_UNSPECIFIED,
        networks=[one for one in network or () if one != v1.NetworkSpec()],
        networkless=network == [v1.NetworkSpec()],
        graphics=v1.GraphicsSpec(type=screen) if screen else None,
        video=video or v1.VIDEO_MODEL_UNSPECIFIED,
        guest_agent=False if no_agent else None,
        serial_console=False if no_serial else None,
        autostart=autostart,
        machine=machine,
        cpu_mode=cpu_mode or v1.CPU_MODE_UNSPECIFIED,
        labels=pairs(label),
        lifetime=lifetime,
        deletion_protection=protect,
    )
    with session.connect() as client:
        request = v1.CreateDomainRequest(spec=spec, start=start, host=host)
        _show(session, client.domains.CreateDomain(request).resource)


def _show(session: Session, resource: v1.Resource) -> None:
    if session.as_json:
        write_message(resource)
    else:
        write_line(resource.id)


@app.command("xml")
def show_xml(
    ctx: typer.Context,
    *,
    id: Id,
    inactive: Annotated[
        bool, typer.Option("--inactive", help="What the next start will use.")
    ] = False,
    output: Output = None,
) -> None:
    """Show a virtual machine as libvirt's XML."""
    session = Session.of(ctx, output)
    with session.connect() as client:
        request = v1.GetDomainXmlRequest(id=id, inactive=inactive)
        response = client.domains.GetDomainXml(request)
    if session.as_json:
        write_message(response)
    else:
        write_document(response.xml)
