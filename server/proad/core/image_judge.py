"""Judging the image that an engine is about to make a container of."""

from proad.core.engine_connection import EngineConnection
from proad.core.gate import PolicyGate
from proad.core.image_ledger import ImageLedger
from proad.errors import ImageNotFoundError
from proad.model import ContainerSpec, ImageDefaults
from proad.ports import JudgeImage


def image_judge(
    connection: EngineConnection, spec: ContainerSpec, *, gate: PolicyGate, ledger: ImageLedger
) -> JudgeImage:
    """Return what judges the image that an engine finds by the name in a specification.

    The name may have come to mean another image since the ledger looked at it.
    """

    async def judge(image: ImageDefaults) -> None:
        try:
            await ledger.resolve(connection, image.id)
        except ImageNotFoundError:
            raise ImageNotFoundError(spec.image) from None
        gate.admit_image_defaults(spec, image)

    return judge
