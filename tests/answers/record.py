"""Records what the engines of this host answer: `PYTHONPATH=tests python -m answers.record`.

It makes containers and domains of its own for that, and removes them again. What names the
host is replaced.
"""

import json
import platform
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import docker
import libvirt

from guest.media import medium

HERE = Path(__file__).parent / "recorded"
INFO = frozenset({"Architecture", "ID", "MemTotal", "NCPU", "Name", "ServerVersion", "Warnings"})
IMAGE = "proa-test/busybox:1"
UEFI = "/usr/share/OVMF/OVMF_CODE.fd"
_STATS = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)


def containers(client: docker.APIClient, prefix: str) -> dict[str, dict[str, Any]]:
    """Return the request of each container by name."""
    host = client.create_host_config
    web = host(
        port_bindings={80: ("127.0.0.1", None), "53/udp": "48000-48010"},
        binds=["/tmp:/srv:ro", f"{prefix}-data:/data"],
        tmpfs={"/run": "size=1m"},
        mem_limit="64m",
        nano_cpus=500_000_000,
        cap_add=["NET_ADMIN"],
        cap_drop=["MKNOD"],
        devices=["/dev/null:/dev/zilch:rw"],
        ulimits=[docker.types.Ulimit(name="nofile", soft=64, hard=128)],
        restart_policy={"Name": "on-failure", "MaximumRetryCount": 3},
        log_config=docker.types.LogConfig(type="json-file", config={"max-size": "1m"}),
        init=True,
        mounts=[docker.types.Mount("/shm", None, type="tmpfs", tmpfs_size=4096)],
    )
    plain = host(network_mode="none")
    return {
        "web": {
            "command": ["sh", "-c", "echo 'a b'; sleep 3600"],
            "ports": [80, (53, "udp")],
            "host_config": web,
            "environment": {"A": "b=c", "EMPTY": ""},
            "labels": {"x": "y"},
            "hostname": "web",
            "user": "0:0",
            "stop_signal": "SIGINT",
            "stop_timeout": -1,
            "healthcheck": {"test": ["CMD", "true"], "interval": 10**9},
            "tty": True,
            "stdin_open": True,
        },
        "created": {"command": ["true"], "host_config": host(port_bindings={80: "48000-48010"})},
        "failed": {"command": ["false"], "host_config": plain},
        "paused": {"command": ["sleep", "3600"], "host_config": plain},
        "ours": {
            "command": ["sleep", "3600"],
            "host_config": host(network_mode="none", auto_remove=True),
        },
    }


def record_docker() -> dict[str, Any]:
    """Return answers of the Engine API, by request."""
    client = docker.APIClient(version="auto")
    prefix = f"proa-test-{secrets.token_hex(4)}"
    since = int(time.time())
    with ExitStack() as undo:
        undo.callback(lambda: client.remove_volume(f"{prefix}-data"))
        ids = {}
        for name, fields in containers(client, prefix).items():
            fields["labels"] = {"proa-test": prefix, **fields.get("labels", {})}
            made = client.create_container(IMAGE, name=f"{prefix}-{name}", **fields)
            ids[name] = made["Id"]
            undo.callback(client.remove_container, made["Id"], force=True, v=True)
            if name != "created":
                client.start(made["Id"])
        client.pause(ids["paused"])
        client.wait(ids["failed"])
        time.sleep(2)  # for its health
        events = client.events(since=since, until=int(time.time()) + 1, decode=True)
        only = {"label": [f"proa-test={prefix}"]}
        return {
            "list": client.containers(all=True, filters=only),
            "inspect": [client.inspect_container(id) for id in ids.values()],
            "stats": [client.stats(ids[name], stream=False) for name in ("web", "failed")],
            "events": [each for each in events if prefix in json.dumps(each)],
            "images": client.images(),
            "image": [client.inspect_image(IMAGE)],
            "info": [{key: value for key, value in client.info().items() if key in INFO}],
            "version": [client.version()],
        }


def domain(prefix: str, name: str, iso: str = "", extra: str = "", os: str = "") -> str:
    """Return the XML of a domain with many devices."""
    folder = Path(f"/var/tmp/{prefix}")
    cdrom = (
        f"""<disk type='file' device='cdrom'><source file='{iso}'/>
      <target dev='sda' bus='sata'/><readonly/><boot order='1'/></disk>"""
        if iso
        else ""
    )
    disk = folder / f"{name}.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1M"], check=True)
    return f"""<domain type='qemu'>
  <name>{prefix}-{name}</name><title>A title</title><description>Of a &lt;domain&gt;</description>
  <metadata><proa:domain xmlns:proa='urn:proa:domain:1' create_time='2026-01-02T03:04:05+00:00'>
    <proa:label key='a' value='b'/></proa:domain></metadata>
  <memory unit='MiB'>192</memory><currentMemory unit='KiB'>163840</currentMemory>
  <vcpu current='1'>2</vcpu>
  <os>{os or "<type arch='x86_64' machine='pc'>hvm</type>"}</os>
  <features><acpi/></features><on_poweroff>destroy</on_poweroff>
  <devices>
    {cdrom}
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{disk}'/>
      <target dev='vda' bus='virtio'/><boot order='2'/></disk>
    <interface type='network'><source network='default'/><model type='virtio'/></interface>
    <serial type='pty'/><console type='pty'/>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <graphics type='vnc' port='-1' autoport='yes'><listen type='address' address='127.0.0.1'/></graphics>
    <memballoon model='virtio'/><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    {extra}
  </devices>
</domain>"""


@contextmanager
def domains(raw: libvirt.virConnect, prefix: str) -> Iterator[list[libvirt.virDomain]]:
    """Create domains in several states."""
    folder = Path(f"/var/tmp/{prefix}")
    folder.mkdir(mode=0o755)
    iso = folder / "guest.iso"
    iso.write_bytes(Path(medium("guest.iso")).read_bytes())
    odd = "<video><model type='none'/></video><watchdog model='i6300esb'/><input type='tablet'/>"
    made = []
    try:
        made.append(raw.defineXML(domain(prefix, "running", str(iso))))
        made.append(raw.defineXML(domain(prefix, "saved", extra=odd)))
        efi = "<type arch='x86_64' machine='q35'>hvm</type>"
        efi += (
            f"<loader readonly='yes' type='pflash'>{UEFI}</loader>" if Path(UEFI).exists() else ""
        )
        made.append(raw.defineXML(domain(prefix, "efi", os=efi)))
        running, saved, _ = made
        running.create()
        saved.create()
        saved.managedSave()
        time.sleep(8)  # the guest asks for its address
        running.snapshotCreateXML("<domainsnapshot><name>one</name></domainsnapshot>")
        running.snapshotCreateXML(
            "<domainsnapshot><name>two</name><description>d</description></domainsnapshot>"
        )
        yield made
    finally:
        for each in made:
            if each.isActive():
                each.destroy()
            each.undefineFlags(
                libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
                | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
                | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
            )
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def record_libvirt() -> dict[str, Any]:
    """Return answers of libvirt, by call."""
    raw = libvirt.open("qemu:///system")
    with domains(raw, f"proa-test-{secrets.token_hex(4)}") as made:
        leases = libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE
        stats = {
            domain.UUIDString(): answer
            for domain, answer in raw.domainListGetStats(made, _STATS, 0)
        }
        return {
            "domains": [
                {
                    "id": each.UUIDString(),
                    "name": each.name(),
                    "xml": each.XMLDesc(),
                    "metadata": each.metadata(
                        libvirt.VIR_DOMAIN_METADATA_ELEMENT, "urn:proa:domain:1"
                    ),
                    "state": each.state(),
                    "info": each.info(),
                    "autostart": each.autostart(),
                    "persistent": each.isPersistent(),
                    "active": each.isActive(),
                    "saved": each.hasManagedSaveImage(),
                    "stats": stats[each.UUIDString()],
                    "leases": each.interfaceAddresses(leases) if each.isActive() else {},
                    "snapshots": [snapshot.getXMLDesc() for snapshot in each.listAllSnapshots()],
                }
                for each in made
            ],
            "host": {
                "info": raw.getInfo(),
                "version": raw.getLibVersion(),
                "hostname": raw.getHostname(),
                "memory": raw.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS),
            },
        }


def scrubbed(answers: dict[str, Any]) -> dict[str, Any]:
    """Replace values that identify the host."""
    text = json.dumps(answers).replace(platform.release(), "6.1.0")
    return dict(json.loads(text.replace(platform.node(), "host.example")))


def main() -> None:
    """Record the named parts, or all."""
    every: dict[str, Callable[[], dict[str, Any]]] = {
        "docker": record_docker,
        "libvirt": record_libvirt,
    }
    HERE.mkdir(exist_ok=True)
    for name in sys.argv[1:] or every:
        text = json.dumps(scrubbed(every[name]()), sort_keys=True, separators=(",", ":"))
        # One answer a line, for diffs.
        (HERE / f"{name}.json").write_text(text.replace('],"', '],\n"') + "\n")


if __name__ == "__main__":
    main()
