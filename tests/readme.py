"""The blocks of code of a page, for the tests that compare the page with what it describes."""

import re
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
LANGUAGES = README.parent / "docs/languages.md"
_PARTS = re.compile(
    r"^## (?P<heading>[^\n]*)$|^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A block of code, with the heading that it is under."""

    heading: str
    language: str
    text: str


def blocks(heading: str = "", language: str = "", page: Path = README) -> list[Block]:
    """Return the blocks of a page in order, all or those under a heading, in a language."""
    found, under = [], ""
    for part in _PARTS.finditer(page.read_text()):
        under = part["heading"] or under
        if part["text"] is not None:
            found.append(Block(under, part["language"], part["text"]))
    return [
        block
        for block in found
        if (not heading or block.heading == heading)
        and (not language or block.language == language)
    ]
