"""The glossary names existing objects, and each term once."""

import re
from collections import Counter, defaultdict
from pathlib import Path

from proa import v1

ROOT = Path(__file__).parents[3]
GLOSSARY = ROOT / "docs/glossary.md"
_FOLDERS = ("client/proa", "server/proad", "tests")
_CLASSES = re.compile(r"^class ([A-Z]\w*)", re.MULTILINE)
_DEFINED = re.compile(r"^ *(?:class |(?:async )?def |(?=\w+: ))(\w+)", re.MULTILINE)


def rows():
    """Yield term and name of each row."""
    for line in GLOSSARY.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[0] != "term":
            yield cells[0], cells[1], cells[2]


def defined():
    """Return the names of all classes, functions and annotated attributes."""
    paths = (path for folder in _FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return {*v1.__all__, *(name for path in paths for name in _DEFINED.findall(path.read_text()))}


def test_glossary_names_exist():
    named = {name for _, names, _ in rows() for name in re.findall(r"`(\w+)`", names)}
    assert len(named) > 40
    assert named - defined() == set()


def test_glossary_terms_have_one_row_each():
    terms = Counter(term for cell, _, _ in rows() for term in cell.casefold().split(", "))
    assert [term for term, count in terms.items() if count > 1] == []


def test_glossary_rows_have_a_meaning_of_one_line():
    assert [term for term, _, meaning in rows() if not 10 < len(meaning) <= 110] == []


def test_class_names_in_the_daemon_are_unique():
    """Drivers may share class names for the same duty."""
    places = defaultdict(list)
    for path in (ROOT / "server/proad").rglob("*.py"):
        parts = path.relative_to(ROOT / "server/proad").parts
        for name in _CLASSES.findall(path.read_text()):
            places[name].append("/".join(parts[:2]) if parts[0] == "drivers" else "core")
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert {
        name: where
        for name, where in twice.items()
        if len(set(where)) < len(where) or "core" in where
    } == {}
