"""The contract breaks no stubs of the frozen one, and the check finds what would."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FROZEN = ROOT / "protos/frozen.binpb"
BUF = Path(sys.executable).with_name("buf")


def breaks(folder: Path) -> str:
    """Return what buf finds in the contract of a folder, against the frozen one."""
    command = [str(BUF), "breaking", "--exclude-imports", "--against", str(FROZEN)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert (done.returncode != 0) == bool(done.stdout)
    return done.stdout


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    """The folder of a copy of the contract, which a test may change."""
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    shutil.copytree(ROOT / "protos/proa", tmp_path / "protos/proa")
    return tmp_path


def change(contract: Path, name: str, pattern: str, replacement: str) -> None:
    """Replace the first match in a file of the contract."""
    proto = contract / "protos/proa/v1" / name
    changed, count = re.subn(pattern, replacement, proto.read_text(), count=1, flags=re.MULTILINE)
    assert count == 1
    proto.write_text(changed)


def test_contract_breaks_nothing_that_is_frozen():
    assert breaks(ROOT) == ""


def test_changed_field_of_frozen_file_is_a_break(contract: Path):
    change(contract, "resource.proto", r"^  string etag = ", "  string tag = ")

    assert 'Field "' in breaks(contract)


def test_removed_file_is_a_break(contract: Path):
    (contract / "protos/proa/v1/host_service.proto").unlink()

    assert "host_service.proto" in breaks(contract)


def test_added_message_is_no_break(contract: Path):
    change(contract, "resource.proto", r"\Z", "\nmessage Addition {}\n")

    assert breaks(contract) == ""


def test_changed_field_of_open_file_is_no_break(contract: Path):
    change(contract, "volume_service.proto", r"^  (string|int32) page_", r"  bytes page_")

    assert breaks(contract) == ""


def test_open_files_are_those_of_volumes_and_images():
    ignored = re.findall(r"^ {4}- (protos/.*)$", (ROOT / "buf.yaml").read_text(), re.MULTILINE)

    assert ignored == [
        f"protos/proa/v1/{name}{end}.proto"
        for name in ("image", "volume")
        for end in ("", "_service")
    ]
