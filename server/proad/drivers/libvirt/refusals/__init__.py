"""The table of libvirt's refusals, the one place that depends on libvirt's texts.

libvirt gives one number for several causes, and what QEMU says arrives as an internal error
whatever it is. Rows are tried in their order, and the first that fits counts; what fits none is
an ENGINE_CONFLICT. `docs/refusals.md` shows the table; a test provokes each row on a real engine.
"""

import libvirt

from proad.drivers.libvirt.refusals.codes import CODES
from proad.drivers.libvirt.refusals.devices import DEVICES
from proad.drivers.libvirt.refusals.files import FILES
from proad.drivers.libvirt.refusals.host import HOST, INACTIVE, PASSING, STATES
from proad.drivers.libvirt.refusals.machines import MACHINES
from proad.drivers.libvirt.refusals.row import ALL, Meaning, Refusal

__all__ = ["ALL", "REFUSALS", "Meaning", "Refusal", "find"]

REFUSALS = (*HOST, *INACTIVE, *PASSING, *STATES, *MACHINES, *DEVICES, *FILES, *CODES)


def find(error: libvirt.libvirtError) -> Refusal | None:
    """Return the row of an error; None: no row applies, and the error is an ENGINE_CONFLICT."""
    return next((row for row in REFUSALS if row.fits(error)), None)
