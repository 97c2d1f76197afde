"""The port of drivers that can ask guests about themselves."""

from typing import Protocol, runtime_checkable

from proad.model import GuestInfo


@runtime_checkable
class Guests(Protocol):
    """Questions to the guest agents of domains."""

    async def ask_guest(self, id: str) -> GuestInfo:
        """Return what the guest agent of a running domain says of its guest.

        What it does not say, or in another form than expected, is left out; `agent_answered` is
        false where it left a question without an answer, or gave a malformed one. A guest that is
        silent or slow holds up this call alone, for some seconds. Texts and numbers of items need
        no limits of the driver's own, but for what an answer takes in memory.

        Raises:
            ProaError: no agent was asked: none is connected, the domain does not run, or too
                many others are being asked.
        """
