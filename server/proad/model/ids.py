"""The notations of ids."""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator

_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
_UUID = re.compile(r"([0-9a-f]{8})(-?)([0-9a-f]{4})\2([0-9a-f]{4})\2([0-9a-f]{4})\2([0-9a-f]{12})")


def full_id(text: str) -> str:
    """Return the full id in a text, in the engine's own notation; empty for no full id."""
    text = text.lower()
    if _CONTAINER_ID.fullmatch(text):
        return text
    if (uuid := _UUID.fullmatch(text)) is not None:
        first, _, *others = uuid.groups()
        return "-".join([first, *others])
    return ""


def _full_id_or_path(text: str) -> str:
    before, slash, id = text.rpartition("/")
    return f"{before}{slash}{full_id(id) or id}"


FullId = Annotated[str, AfterValidator(_full_id_or_path)]
"""A full id, or a path, which ends with one."""

Username = Annotated[str, AfterValidator(lambda text: unicodedata.normalize("NFC", text).lower())]
"""A user name as it is stored: case does not count."""
