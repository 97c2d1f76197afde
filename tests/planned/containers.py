"""Random requests about containers, of which about half are wrong in some way."""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from planned.cases import BEYOND, MIB, Cases
from planned.trial import Case
from proa import v1

IMAGE = "proa-test/busybox:1"
_ENGINES = frozenset({"INVALID_ARGUMENT", "ENGINE_CONFLICT", "HOST_EXHAUSTED"})

Draw = tuple[Any, frozenset[str]]
"""A value, and the reasons why only the engine can refuse it."""


def _known(*values: Any) -> list[Draw]:
    return [(value, frozenset()) for value in values]


@dataclass
class Containers(Cases):
    """Draws requests about the containers of a stage; see `Cases`.

    Args:
        busy: a port of the host that is taken, on loopback.
        free: one that is free.
    """

    kind = "container"

    busy: int
    free: int

    def _plain(self, name: str, *, start: bool) -> v1.CreateContainerRequest:
        return v1.CreateContainerRequest(spec=self._spec(name=name), start=start)

    def _draws(self) -> Mapping[Callable[[], Case], int]:
        return {self._update: 6, self._recreation: 2, self._create: 3, self._verb: 3}

    def _spec(self, **fields: Any) -> v1.ContainerSpec:
        usual: dict[str, Any] = {
            "image": IMAGE,
            "command": ["sleep", "3600"],
            "stop_signal": "SIGKILL",
            "resources": v1.ContainerResources(memory_bytes=64 * MIB),
        }
        return v1.ContainerSpec(**usual | fields)

    def _draw(self, fields: dict[str, list[Draw]], most: int) -> tuple[dict[str, Any], set[str]]:
        """Draw values of up to so many fields; return them, and what only the engine may refuse."""
        chosen = self.chance.sample(sorted(fields), self.chance.randint(1, most))
        drawn = {name: self.chance.choice(fields[name]) for name in chosen}
        unforeseen = {reason for _, reasons in drawn.values() for reason in reasons}
        return {name: value for name, (value, _) in drawn.items()}, unforeseen

    def _update(self) -> Case:
        limits = {
            "resources.memory_bytes": [*_known(32 * MIB, 96 * MIB, 0, BEYOND), (4096, _ENGINES)],
            "resources.cpus": [*_known(0.25, 0.5), (4000.0, _ENGINES)],
            "resources.cpuset_cpus": [*_known("0"), ("4000", _ENGINES)],
            "resources.pids_limit": _known(50, 70),
        }
        policies = (v1.RESTART_POLICY_MODE_NO, v1.RESTART_POLICY_MODE_ON_FAILURE)
        whole = {
            "name": _known(self._new_name(), self.taken, "-x", self._new_name()),
            "restart_policy": _known(*(v1.RestartPolicy(mode=mode) for mode in policies)),
            "labels": _known({"a": self.chance.choice("xyz")}),
            "env": _known({"A": "1"}),
            "image": _known("proa-test/none:1"),
            "cap_add": _known(["SYS_ADMIN"]),
            "networks": _known([v1.NetworkAttachment(network="host")]),
            "deletion_protection": _known(False),
        }
        values, unforeseen = self._draw({**limits, **limits, **whole}, 3)
        inner = {
            path.removeprefix("resources."): value
            for path, value in values.items()
            if path.startswith("resources.")
        }
        outer = {path: value for path, value in values.items() if "." not in path}
        spec = v1.ContainerSpec(resources=v1.ContainerResources(**inner), **outer)
        subject = self.chance.choice(self.names)
        request = v1.UpdateResourceRequest(
            id=subject, container=spec, update_mask=FieldMask(paths=values)
        )
        return Case("UpdateResource", request, subject, frozenset(unforeseen))

    def _made(self) -> dict[str, list[Draw]]:
        """Return the values of what a container is made from."""
        ports = [
            (v1.PublishedPort(container_port=80, host_port=self.free), frozenset[str]()),
            (v1.PublishedPort(container_port=80, host_port=self.busy), frozenset({"IN_USE"})),
            (v1.PublishedPort(container_port=80, host_ip="0.0.0.0"), frozenset[str]()),
        ]
        return {
            "image": _known(IMAGE, "proa-test/none:1", "NO IMAGE"),
            "env": _known({"A": self.chance.choice("xyz")}),
            "entrypoint": [(["/no/such/program"], _ENGINES), *_known(["/bin/busybox"])],
            "networks": _known(
                [v1.NetworkAttachment(network="none")],
                [v1.NetworkAttachment(network=f"{self.prefix}-no")],
                [v1.NetworkAttachment(network="host")],
            ),
            "ports": [([port], why) for port, why in ports],
            "cap_add": _known(["SYS_ADMIN"], ["CHOWN"]),
            "labels": _known({"b": self.chance.choice("xyz")}),
            "mounts": _known(
                [v1.Mount(target="/d", tmpfs=v1.TmpfsMount())],
                [v1.Mount(target="/d", bind=v1.BindMount(source="/etc"))],
                [v1.Mount(target="/d", volume=v1.VolumeMount(name=f"{self.prefix}-volume"))],
            ),
            "resources": _known(
                v1.ContainerResources(memory_bytes=32 * MIB),
                v1.ContainerResources(memory_bytes=BEYOND),
            ),
        }

    def _recreation(self) -> Case:
        names = {"name": _known(self._new_name(), self.taken, "a/b")}
        values, unforeseen = self._draw(self._made() | names, 2)
        subject = self.chance.choice(self.names)
        request = v1.RecreateContainerRequest(
            id=subject, spec=v1.ContainerSpec(**values), update_mask=FieldMask(paths=values)
        )
        return Case("RecreateContainer", request, subject, frozenset(unforeseen))

    def _create(self) -> Case:
        values, unforeseen = self._draw(self._made(), 2)
        name = self.chance.choice([self._new_name()] * 3 + [self.taken, "-x"])
        request = v1.CreateContainerRequest(
            spec=self._spec(**{"name": name} | values), start=self.chance.random() < 0.5
        )
        return Case("CreateContainer", request, "", frozenset(unforeseen))


@contextmanager
def busy_port() -> Iterator[int]:
    """Take a port on loopback within the block."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]
