"""A hundred containers made with Docker's own API, and the objects that they need."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from integration.docker.workloads import DEAF, IMAGE

Json = dict[str, Any]

MIB = 2**20
# What `--tmpfs` takes, with the bytes and the mode that come of it.
TMPFS: dict[str, tuple[int, int | None, bool]] = {
    "": (0, None, False),
    "rw": (0, None, False),
    "ro,noexec": (0, None, True),
    "size=1m": (MIB, None, False),
    "size=64m": (64 * MIB, None, False),
    "size=64M,mode=1777": (64 * MIB, 0o1777, False),
    "mode=0700,size=1g,uid=1000": (2**30, 0o700, False),
    "size=5k,size=1048576": (MIB, None, False),
    "size=25%": (0, None, False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    """A container to make.

    Attributes:
        name: what is odd about it.
        config: the body of POST /containers/create, but for labels that tests find it by.
        after: what is done to it then: "start", "pause", "end" (started, and waited for),
            "restarting", or nothing.
    """

    name: str
    config: Json = field(default_factory=dict)
    after: str = ""


@dataclass(frozen=True, slots=True)
class Ground:
    """The objects on the host that the containers refer to.

    Attributes:
        network: a network with the subnet 10.x.y.0/24 and, if the engine has it, IPv6.
        address: the part of its addresses before the last number.
        address6: the same of IPv6.
        second: another network.
        volume: name of a volume.
        folder: a folder of the host.
        other: name of a container that runs.
        tags: images whose names mean other ones, or nothing, once all are made.
        image: an image with an entry point, variables, labels, a volume and a health check.
        ports: four free ports of the host.
        range: free ports of the host that follow one on another.
    """

    network: str
    address: str
    address6: str
    second: str
    volume: str
    folder: str
    other: str
    tags: tuple[str, str]
    image: str
    ports: tuple[int, ...]
    range: range


def odd_containers(ground: Ground) -> Iterator[Odd]:
    """Return all odd containers."""
    numbers = count()
    for group in (_commands, _environments, _labels, _ports, _mounts, _networks, _limits, _others):
        for what, config, after in group(ground):
            usual = {"Image": IMAGE, "Cmd": list(DEAF)}
            name = f"{next(numbers):03}-{re.sub('[^a-z0-9]+', '-', what.lower())}"
            yield Odd(name=name, config=usual | config, after=after)


_Made = Iterator[tuple[str, Json, str]]


def _commands(ground: Ground) -> _Made:
    for name, words in {
        "spaces": ["echo", "a b", " c "],
        "quotes": ["echo", "it's", 'a "b"', "'"],
        "balanced-quotes": ["echo", "'a", "b'"],
        "program-with-spaces": ["a program", "x"],
        "empty-words": ["echo", "", "", "x"],
        "lines": ["sh", "-c", "echo a\necho b\t\r\n"],
        "unicode": ["echo", "Grüße", "日本語", "\u202e", "🐳"],
        "backslashes": ["echo", "a\\ b", "$HOME", "`id`", "*"],
        "long": ["echo", "x" * 5000],
        "many": ["echo", *map(str, range(200))],
    }.items():
        yield f"command-{name}", {"Cmd": words}, ""
    yield "entrypoint", {"Entrypoint": ["sh", "-c"], "Cmd": ["sleep 1; echo 'a b'"]}, ""
    yield "entrypoint-of-the-image", {"Image": ground.image, "Cmd": ["a b"]}, ""
    yield "entrypoint-cleared", {"Image": ground.image, "Entrypoint": [""], "Cmd": ["true"]}, ""
    yield "command-runs", {"Cmd": ["sh", "-c", "sleep 3600; echo 'a b'"]}, "start"


def _environments(ground: Ground) -> _Made:
    for name, lines in {
        "unset": ["HOME", "PATH", "X"],
        "empty": ["A=", "B"],
        "equals": ["A=b=c=", "B=="],
        "twice": ["A=1", "A=2", "B", "B=1", "C=1", "C"],
        "lines": ["A=b\nc", "Ü=ö", "B= x ", "a.b-c=d"],
        "long": [f"V{number}={'x' * 100}" for number in range(100)],
    }.items():
        yield f"env-{name}", {"Env": lines}, ""
    lines = ["FROM_IMAGE", "OTHER=1"]
    yield "env-of-the-image-unset", {"Image": ground.image, "Env": lines}, ""
    yield "env-of-the-image", {"Image": ground.image}, ""
    yield "env-unset-runs", {"Env": ["HOME", "X=1"]}, "start"


def _labels(ground: Ground) -> _Made:
    for name, labels in {
        "proa": {"proa": "", "proa.driver": "1", "proa.driver.mine": "2", "proa.driver.": "3"},
        "proa-memory": {"proa.memory/starts-as": "nothing", "proa.v1": "x"},
        "unicode": {"Ünïcode key": "välue\n", "a=b": "c=d", " ": " "},
        "empty": {"empty": ""},
        "long": {f"k{number}": "x" * 1000 for number in range(50)},
    }.items():
        yield f"labels-{name}", {"Labels": labels}, ""
    yield "labels-of-the-image", {"Image": ground.image, "Labels": {"own": "1"}}, ""


def _ports(ground: Ground) -> _Made:
    one, two, three, four = map(str, ground.ports)
    some = f"{ground.range[0]}-{ground.range[-1]}"
    bindings: dict[str, Json] = {
        "any": {"80/tcp": [{"HostPort": ""}]},
        "zero": {"80/tcp": [{"HostPort": "0"}]},
        "range": {"80/tcp": [{"HostPort": "48000-48010"}]},
        "fixed": {"80/tcp": [{"HostPort": one}], "53/udp": [{"HostPort": one}]},
        "sctp": {"80/sctp": [{"HostPort": one}]},
        "addresses": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": one}, {"HostPort": two}]},
        "ipv6": {"80/tcp": [{"HostIp": "::1", "HostPort": one}]},
        "ipv6-any": {"80/tcp": [{"HostIp": "::", "HostPort": one}]},
        "ipv4-any": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": one}]},
        "empty": {"80/tcp": [], "81/tcp": None},
        "same-on-many": {"80/tcp": [{"HostPort": one}], "81/tcp": [{"HostPort": two}]},
    }
    for name, wanted in bindings.items():
        yield f"ports-{name}", _publish(wanted), ""
    many = {f"{number}/tcp": [{"HostPort": str(48000 + number)}] for number in range(100, 160)}
    yield "ports-many", _publish(many), ""
    yield "ports-exposed", {"ExposedPorts": {"80/tcp": {}, "53/udp": {}}}, ""
    running = {
        "80/tcp": [{"HostPort": one}],
        "53/udp": [{"HostPort": two, "HostIp": "127.0.0.1"}],
        "81/tcp": [{"HostPort": ""}],
    }
    exposed: Json = {"90/tcp": {}}
    yield "ports-run", {**_publish(running, exposed)}, "start"
    yield "ports-range-runs", _publish({"80/tcp": [{"HostPort": some}]}), "start"
    yield "ports-paused", _publish({"80/tcp": [{"HostPort": three}]}), "pause"
    yield "ports-ended", {**_publish({"80/tcp": [{"HostPort": four}]}), "Cmd": ["true"]}, "end"
    host = _publish({"80/tcp": [{"HostPort": four}]})
    for mode in ("host", "none"):
        for after in ("", "start"):
            config = {**host, "HostConfig": {**host["HostConfig"], "NetworkMode": mode}}
            yield f"ports-on-{mode}-{after or 'created'}", config, after


def _publish(bindings: Json, exposed: Json | None = None) -> Json:
    return {
        "ExposedPorts": {key: {} for key in bindings} | (exposed or {}),
        "HostConfig": {"PortBindings": bindings},
    }


def _mounts(ground: Ground) -> _Made:
    for number, options in enumerate(TMPFS):
        yield f"tmpfs-{number}", {"HostConfig": {"Tmpfs": {"/scratch": options}}}, ""
    yield "tmpfs-runs", {"HostConfig": {"Tmpfs": {"/scratch": "size=64m"}}}, "start"
    volume = {"Type": "volume", "Source": ground.volume, "Target": "/v"}
    bind = {"Type": "bind", "Source": ground.folder, "Target": "/b"}
    memory = {"Type": "tmpfs", "Target": "/t"}
    tmpfs = {"SizeBytes": 9 * MIB, "Mode": 0o1700}
    for name, mounts in {
        "memory": [memory],
        "memory-options": [{**memory, "TmpfsOptions": tmpfs, "ReadOnly": True}],
        "volume": [volume],
        "volume-nameless": [{**volume, "Source": ""}],
        "volume-read-only": [{**volume, "ReadOnly": True}],
        "bind": [bind],
        "bind-read-only": [{**bind, "ReadOnly": True, "BindOptions": {"Propagation": "rslave"}}],
        "all": [volume, bind, {**memory, "TmpfsOptions": tmpfs}],
    }.items():
        yield f"mounts-{name}", {"HostConfig": {"Mounts": mounts}}, ""
    yield "mounts-all-run", {"HostConfig": {"Mounts": [volume, bind, memory]}}, "start"
    binds = [f"{ground.folder}:/b:ro", f"{ground.volume}:/a:ro", f"{ground.folder}:/c d"]
    yield "binds", {"HostConfig": {"Binds": binds, "Tmpfs": {"/t": "size=1m"}}}, ""
    yield "volumes", {"Volumes": {"/anonymous": {}}}, ""
    yield "volumes-of-the-image", {"Image": ground.image}, ""
    yield "volumes-of-another", {"HostConfig": {"VolumesFrom": [f"{ground.other}:ro"]}}, ""
    yield (
        "tmpfs-over-a-volume",
        {
            "Image": ground.image,
            "HostConfig": {"Tmpfs": {"/data": "size=1m"}},
        },
        "",
    )


def _networks(ground: Ground) -> _Made:
    wishes = {"IPv4Address": f"{ground.address}.77"}
    if ground.address6:
        wishes["IPv6Address"] = f"{ground.address6}77"
    endpoint = {"Aliases": ["db", "ünïcode"], "IPAMConfig": wishes}
    for mode in ("host", "none", "bridge", "default", f"container:{ground.other}"):
        name = mode.partition(":")[0]
        yield f"network-{name}", {"HostConfig": {"NetworkMode": mode}}, ""
        yield f"network-{name}-runs", {"HostConfig": {"NetworkMode": mode}}, "start"
    for after in ("", "start", "end"):
        config: Json = {
            "HostConfig": {"NetworkMode": ground.network},
            "NetworkingConfig": {"EndpointsConfig": {ground.network: endpoint}},
        }
        number = {"": 78, "start": 79, "end": 80}[after]
        config["NetworkingConfig"]["EndpointsConfig"][ground.network] = {
            **endpoint,
            "IPAMConfig": {
                key: f"{value.removesuffix('77')}{number}" for key, value in wishes.items()
            },
        }
        if after == "end":
            config["Cmd"] = ["true"]
        yield f"network-static-{after or 'created'}", config, after
    mine = {"HostConfig": {"NetworkMode": ground.network}}
    yield "network-mac", {**mine, "MacAddress": "02:42:ac:11:00:99"}, "start"
    yield "network-many", mine, "connect"
    yield "network-many-run", mine, "connect start"
    yield "network-nothing-left", {"HostConfig": {"NetworkMode": "bridge"}}, "disconnect"
    links = {"HostConfig": {"Links": [f"{ground.other}:alias"], "NetworkMode": "bridge"}}
    yield "network-links", links, "start"


def _limits(_ground: Ground) -> _Made:
    for name, limits in {
        "memory": {"Memory": 64 * MIB, "MemorySwap": -1, "MemoryReservation": 32 * MIB},
        "swap": {"Memory": 64 * MIB, "MemorySwap": 96 * MIB},
        "nano-cpus": {"NanoCpus": 250_000_000},
        "quota": {"CpuQuota": 150_000, "CpuPeriod": 50_000},
        "quota-alone": {"CpuQuota": 50_000},
        "shares": {"CpuShares": 2, "CpusetCpus": "0"},
        "pids": {"PidsLimit": 100},
        "pids-none": {"PidsLimit": -1},
        "pids-zero": {"PidsLimit": 0},
        "ulimits": {
            "Ulimits": [
                {"Name": "nofile", "Soft": 64, "Hard": 128},
                {"Name": "core", "Soft": -1, "Hard": -1},
            ]
        },
        "shm": {"ShmSize": 3 * MIB},
        "capabilities": {"CapAdd": ["NET_ADMIN", "sys_time"], "CapDrop": ["ALL"]},
        "privileged": {"Privileged": True},
        "device": {
            "Devices": [
                {
                    "PathOnHost": "/dev/null",
                    "PathInContainer": "/dev/x y",
                    "CgroupPermissions": "r",
                }
            ]
        },
        "read-only": {"ReadonlyRootfs": True, "Init": True},
        "no-init": {"Init": False},
        "logs": {"LogConfig": {"Type": "none"}},
        "auto-remove": {"AutoRemove": True},
    }.items():
        yield f"limits-{name}", {"HostConfig": limits}, ""
    yield "limits-run", {"HostConfig": {"Memory": 64 * MIB, "CpuQuota": 150_000}}, "start"
    yield "auto-remove-runs", {"HostConfig": {"AutoRemove": True}}, "start"
    for name, retries in {
        "no": 0,
        "on-failure": 3,
        "always": 0,
        "unless-stopped": 0,
        "": 0,
    }.items():
        policy = {"Name": name, "MaximumRetryCount": retries}
        yield f"restart-{name or 'unnamed'}", {"HostConfig": {"RestartPolicy": policy}}, ""
    any_port = {"80/tcp": [{"HostPort": ""}]}
    always = {"RestartPolicy": {"Name": "always"}, "PortBindings": any_port}
    config = {**_publish(any_port), "HostConfig": always, "Cmd": ["false"]}
    yield "restarting", config, "restarting"


def _others(ground: Ground) -> _Made:
    shell = ["sh", "-c"]
    small = {"HostConfig": {"Memory": 24 * MIB, "MemorySwap": 24 * MIB}}
    greedy = "head -c 100m /dev/zero | tail -c 90m >/dev/null"
    for name, script in {
        "0": "exit 0",
        "3": "exit 3",
        "killed": "kill -9 $$",
        "255": "exit 255",
    }.items():
        yield f"exit-{name}", {"Cmd": [*shell, script]}, "end"
    yield "exit-oom", {"Cmd": [*shell, "exec tail -c 90m /dev/zero"], **small}, "end"
    yield "exit-oom-of-a-child", {"Cmd": [*shell, f"{greedy}; exit 0"], **small}, "end"
    yield "exit-oom-of-a-child-and-error", {"Cmd": [*shell, f"{greedy}; exit 5"], **small}, "end"
    yield "oom-of-a-child-runs", {"Cmd": [*shell, f"{greedy}; sleep 3600"], **small}, "start"
    published = _publish({"80/tcp": [{"HostPort": ""}]})
    yield "no-such-program", {**published, "Cmd": ["no-such-program"]}, "fail"
    yield "paused", {}, "pause"
    for signal in ("SIGINT", "9", "SIGRTMIN+3", ""):
        yield f"signal-{signal or 'none'}", {"StopSignal": signal}, ""
    for timeout in (-1, 0, 3600):
        yield f"stop-timeout-{timeout}", {"StopTimeout": timeout}, ""
    for name, check in {
        "none": {"Test": ["NONE"]},
        "shell": {"Test": ["CMD-SHELL", "true"], "Interval": 10**9},
        "words": {"Test": ["CMD", "echo", "a b"]},
    }.items():
        yield f"health-{name}", {"Healthcheck": check}, ""
    long = {"Test": ["CMD", "true"], "Interval": 3600 * 10**9}
    yield "health-starting", {"Healthcheck": long}, "start"
    yield "health-disabled", {"Image": ground.image, "Healthcheck": {"Test": ["NONE"]}}, ""
    yield "terminal", {"Tty": True, "OpenStdin": True, "AttachStdin": True}, ""
    yield "names", {"Hostname": "hull", "Domainname": "proa.test", "User": "1000:1000"}, ""
    yield "folder", {"WorkingDir": "/a b/../c", "User": "nobody"}, ""
    for number, tag in enumerate(ground.tags):
        yield f"image-tag-{number}", {"Image": tag}, ""
        yield f"image-tag-{number}-runs", {"Image": tag}, "start"
        yield f"image-tag-{number}-ended", {"Image": tag, "Cmd": ["true"]}, "end"
