"""The files and classes that the developers' pages name exist."""

import re
from pathlib import Path

import pytest

from proa import v1
from proad.rpc.methods import SERVICES

ROOT = Path(__file__).parents[3]
OVERVIEW = ROOT / "docs/design.md"
TENANTS = ROOT / "docs/tenants.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PAGES = [
    CONTRIBUTING,
    ROOT / "README.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
# The folders to which paths on the pages are relative.
_BASES = (ROOT, ROOT / "server/proad", ROOT / "server/proad/drivers", ROOT / "tests")
_SOURCES = ("client", "deploy", "protos", "server", "tests")
_PATH = re.compile(
    r"`((?:client|deploy|docs|protos|server|tests)(?:/[\w.-]+)*/?"
    r"|(?!google/)(?:[\w-]+/)*[\w-]+\.(?:py|proto|toml|md)|(?:[a-z]\w*/)+)`"
)
_CLASS = re.compile(r"`([A-Z]\w*[a-z]\w*)(?:\.(\w+))?`")
_DEFINED = re.compile(r"^ *(?:class|(?:async )?def) (\w+)", re.MULTILINE)


def ids(page):
    return str(page.relative_to(ROOT))


def defined():
    sources = [
        p for folder in ("client/proa", "server/proad") for p in (ROOT / folder).rglob("*.py*")
    ]
    names = {name for path in sources for name in _DEFINED.findall(path.read_text(errors="ignore"))}
    methods = {method.name for service in SERVICES for method in service.methods}
    return names | methods | set(v1.__all__)


@pytest.fixture(scope="module")
def file_names():
    return {path.name for folder in _SOURCES for path in (ROOT / folder).rglob("*")}


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_page_names_files_that_exist(page, file_names):
    missing = [
        path
        for path in _PATH.findall(page.read_text())
        if not any((base / path).exists() for base in (*_BASES, page.parent))
        and path.strip("/") not in file_names
    ]
    assert missing == []


def test_design_names_classes_that_exist():
    named = [
        (page, *name)
        for page in (OVERVIEW, TENANTS, CONTRIBUTING)
        for name in _CLASS.findall(page.read_text())
    ]
    known = defined()
    assert len(named) > 10
    assert [
        name for name in named if name[1] not in known or (name[2] and name[2] not in known)
    ] == []


def test_design_page_is_within_length_limit():
    assert len(OVERVIEW.read_text().splitlines()) <= 300


def test_decisions_are_all_listed():
    folder = ROOT / "docs/decisions"
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text())
    assert listed == sorted(path.name for path in folder.glob("[0-9]*.md"))
