"""Count the driver's calls to libvirtd."""

from typing import Any


class CallCounter:
    """libvirt's C module with a record of the calls that reach libvirtd."""

    # Calls that do not reach libvirtd, or that each thread makes once.
    OTHERS = (
        "virEventRunDefaultImpl",
        "virConnectIsAlive",
        "virConnectOpen",
        "virConnectSetKeepAlive",
        "virDomainGetName",
        "virDomainGetUUIDString",
    )

    def __init__(self, module: Any) -> None:
        self._module = module
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("vir") and not name.endswith("Free") and name not in self.OTHERS:
            self.calls.append(name)
        return getattr(self._module, name)
