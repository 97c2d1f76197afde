"""The generated stubs and the .proto files themselves."""

import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

ROOT = Path(__file__).parents[3]
PROTOS = ROOT / "protos"
STUBS = ROOT / "client/proa/v1"
BIN = Path(sys.executable).parent


def content(folder):
    return {
        path.name: path.read_text()
        for path in folder.iterdir()
        if path.suffix in {".py", ".pyi"} and path.is_file()
    }


def test_stubs_match_generated_output(tmp_path):
    subprocess.run([sys.executable, PROTOS / "generate.py", tmp_path], check=True)
    fresh, committed = content(tmp_path / "proa/v1"), content(STUBS)

    stale = sorted(
        name for name in fresh.keys() | committed.keys() if fresh.get(name) != committed.get(name)
    )

    assert not stale, f"run 'make generate' and commit client/proa/v1: {', '.join(stale)}"


def test_buf_lint_passes():
    lint = subprocess.run(
        [BIN / "buf", "lint"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (lint.returncode, lint.stdout + lint.stderr) == (0, "")


def test_protoc_without_buf_compiles_contract(tmp_path):
    """Compile as a user of another language: with the protos folder and protoc's own files."""
    protos = [str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto")]
    includes = [f"-I{PROTOS}", f"-I{files('grpc_tools') / '_proto'}"]

    out = tmp_path / "contract.binpb"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            *includes,
            f"--descriptor_set_out={out}",
            *protos,
        ],
        check=True,
    )

    assert len(FileDescriptorSet.FromString(out.read_bytes()).file) == len(protos)


@pytest.mark.parametrize("proto", sorted(PROTOS.rglob("*.proto")), ids=lambda path: path.name)
def test_proto_imports_are_own_or_protobuf(proto):
    imports = re.findall(r'^import (?:public |weak )?"([^"]+)";', proto.read_text(), re.MULTILINE)

    assert [name for name in imports if not name.startswith(("google/protobuf/", "proa/v1/"))] == []
