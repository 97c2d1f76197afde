"""What the core asks of the world around it: drivers, and records that outlive the daemon.

A driver implements `Driver` and those of the protocols in `capabilities` that its engine offers.
A protocol that a driver lacks is a missing capability, which the core reports; no method exists
only to refuse. `tests/contract/` proves every obligation below with one suite that every driver
runs.

Obligations of every method of a driver:

- Take and return model types only; no object of an engine's SDK leaves a driver.
- `id` is a full id as `list_resources` returns it. An unknown id raises ResourceNotFoundError.
- Never block the event loop: SDK calls run on the driver's own threads.
- Raise EngineUnreachableError for an engine that does not answer, and EngineTimedOutError for
  one that is too slow. Raise for a refusal what it means: InvalidArgumentError with the field,
  CapabilityMissingError, InUseError, HostExhaustedError, or else EngineConflictError with the
  engine's text. Tell refusals apart by code; where one code has several causes, by the one table
  of the driver that knows the engine's texts.
- Raise for a verb that is illegal in the present state the error of `model.verbs.refusal`, and
  change nothing, also when the state changed a moment ago.
- Create all or nothing: when a step fails or the call is cancelled, remove all that was made.
- Await `announce` once in every create: after every check that has no effect, before the first
  change. Change nothing if it raises. Check again afterwards what may have changed meanwhile.
- Return the resource as it is after a verb: as read from the engine or, for `pause` and `resume`,
  as the engine's success implies. `start`, `stop`, `restart`, `pause` and `resume` return a
  SUMMARY, the others the FULL view.
- Return equal SUMMARYs of a resource that did not change in between, whether they come from
  `list_resources`, `get_resource` or a verb.
- Leave empty what only the core knows: `host`, `activity`, `etag`, `revision`, `observe_time`,
  `owner` and `deletion_protection`; and `allowed_verbs`, unless they are fewer than the state allows, as for a
  resource that can have no snapshot.
"""

from proad.ports.callbacks import (
    AnnounceFootprint,
    Begin,
    JudgeImage,
    JudgeXml,
    OnEvent,
    OnStep,
    any_image,
    at_once,
    ignore,
    unannounced,
    unjudged,
)
from proad.ports.capabilities import (
    ContainerAttachments,
    Containers,
    Domains,
    Images,
    Recovery,
    Recreation,
    Snapshots,
    Stats,
    Updates,
    Volumes,
)
from proad.ports.commands import Commands, RunningCommand
from proad.ports.consoles import Console, Consoles
from proad.ports.driver import Driver
from proad.ports.files import FileReader, Files, FileWriter
from proad.ports.guests import Guests
from proad.ports.logs import Logs
from proad.ports.port_forwarding import PortConnection, PortForwarding, SocketForwarding

__all__ = [
    "AnnounceFootprint",
    "Begin",
    "Commands",
    "Console",
    "Consoles",
    "ContainerAttachments",
    "Containers",
    "Domains",
    "Driver",
    "FileReader",
    "FileWriter",
    "Files",
    "Guests",
    "Images",
    "JudgeImage",
    "JudgeXml",
    "Logs",
    "OnEvent",
    "OnStep",
    "PortConnection",
    "PortForwarding",
    "Recovery",
    "Recreation",
    "RunningCommand",
    "Snapshots",
    "SocketForwarding",
    "Stats",
    "Updates",
    "Volumes",
    "any_image",
    "at_once",
    "ignore",
    "unannounced",
    "unjudged",
]
