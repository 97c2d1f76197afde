"""What our driver asks libvirtd, by the names of the calls."""

from typing import Any


class CallCounter:
    """libvirt's C module, noting the calls that ask libvirtd."""

    # What asks nothing, and what a thread does once.
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
