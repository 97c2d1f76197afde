"""No file of the repository cites a page that is not in the repository."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
_FOLDERS = ("client", "deploy", "docs", "protos", "server", "tests")
_BINARY = {".pyc", ".img"}
_PAGE = re.compile(r"(?<![\w/.-])(?:[\w.-]+/)*[\w-]+\.md\b")
_ELSEWHERE = re.compile(
    r"\bDESIGN\b|\bENGINES\.md|\bPEERS\b|\bthesis\b|\bissue #?\d+\b|\bsection \d"
)


def texts():
    """Yield each file with its text, without this file, which contains the patterns."""
    paths = [path for folder in _FOLDERS for path in (ROOT / folder).rglob("*")]
    for path in [*paths, *ROOT.glob("*")]:
        if path.is_file() and path.suffix not in _BINARY and path != Path(__file__):
            yield path, path.read_text(errors="replace")


def test_files_cite_only_pages_of_the_repository():
    cited = [(path, page) for path, text in texts() for page in _PAGE.findall(text)]
    assert cited
    missing = [
        (path, page)
        for path, page in cited
        if not (ROOT / page).exists() and not (path.parent / page).exists()
    ]
    assert missing == []


def test_files_cite_no_notes_from_elsewhere():
    found = [(path, cited[0]) for path, text in texts() if (cited := _ELSEWHERE.search(text))]
    assert found == []
