"""The stubs of languages for which protoc alone generates the messages."""

import subprocess
from pathlib import Path

import pytest

from readme import LANGUAGES, README, blocks
from stubs.program import require


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the page's commands ran."""
    require("protoc")
    folder = tmp_path_factory.mktemp("generated")
    (folder / "protos").symlink_to(README.parent / "protos")
    (block,) = blocks("Other languages", "sh", LANGUAGES)
    subprocess.run(["bash", "-euc", block.text], cwd=folder, check=True, timeout=60)
    return folder


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        ("csharp/Resource.cs", ["namespace Proa.V1 {", "public sealed partial class Resource "]),
        ("ruby/proa/v1/resource_pb.rb", ["module Proa\n  module V1\n", "    Resource = "]),
        ("php/Proa/V1/Resource.php", ["namespace Proa\\V1;", "class Resource extends "]),
        ("kotlin/dev/proa/v1/ResourceKt.kt", ["package dev.proa.v1", "fun resource(block: "]),
        ("kotlin/dev/proa/v1/Resource.java", ["package dev.proa.v1;", "class Resource extends"]),
        ("objc/proa/v1/Resource.pbobjc.h", ["@interface PRAResource : GPBMessage"]),
    ],
)
def test_protoc_without_option_generates_names_of_the_language(
    generated: Path, path: str, lines: list[str]
):
    text = (generated / path).read_text()

    assert [line for line in lines if line not in text] == []
