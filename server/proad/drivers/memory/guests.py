"""What the imitated domains say of themselves."""

from datetime import UTC, datetime

from proad.drivers.memory.connection import NAME
from proad.drivers.memory.engine import ImitatedEngine
from proad.errors import CapabilityMissingError
from proad.model import GuestInfo, GuestInterface, GuestUser, OperatingSystem
from proad.model.verbs import entering_refusal

_SYSTEM = OperatingSystem(
    id="imitation",
    name="Imitation 1 (memory driver)",
    version="1",
    kernel_release="1.0.0-memory",
    architecture="none",
)


class MemoryGuests:
    """Answers for the guest agents of all domains that have one."""

    def __init__(self, engine: ImitatedEngine) -> None:
        self._engine = engine

    async def ask_guest(self, id: str) -> GuestInfo:
        """Return what the guest agent of a running domain says."""
        workload, _ = self._engine.domain(id, "a guest agent")
        resource = workload.shown()
        if refused := entering_refusal(resource):
            raise refused
        domain = resource.domain
        if domain is None or not domain.guest_agent_connected:
            raise CapabilityMissingError("a guest agent that is connected", driver=NAME)
        interfaces = tuple(
            GuestInterface(name=f"eth{n}", mac_address=each.mac_address, addresses=each.addresses)
            for n, each in enumerate(domain.networks)
        )
        user = GuestUser(name="imitation", login_time=resource.state_detail.start_time)
        return GuestInfo(
            hostname=resource.name,
            operating_system=_SYSTEM,
            interfaces=interfaces,
            users=(user,),
            user_count=1,
            agent_answered=True,
            observe_time=datetime.now(UTC),
        )
