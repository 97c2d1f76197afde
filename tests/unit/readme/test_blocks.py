"""The README's examples can be copied, and are valid in the contract."""

import ast
import json
import re
import subprocess

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.json_format import Parse
from google.protobuf.message_factory import GetMessageClass

from proa.v1 import (  # noqa: F401 - which registers them
    console_service_pb2,
    container_service_pb2,
    domain_service_pb2,
    image_service_pb2,
    resource_service_pb2,
)
from readme import LANGUAGES, README, blocks

CALL = re.compile(
    r"^g (?P<service>\w+)/(?P<method>\w+)\s(?:\\\n)?\s*'(?P<request>.*)'$", re.MULTILINE
)
CALLS = [match.groups() for block in blocks("By hand", "sh") for match in CALL.finditer(block.text)]


@pytest.mark.parametrize("block", [*blocks(language="sh"), *blocks(language="sh", page=LANGUAGES)])
def test_shell_block_can_be_pasted(block):
    assert not re.search(r"^\s*[$#>%] ", block.text, re.MULTILINE)
    assert "…" not in block.text
    command = ["bash", "-n"]
    done = subprocess.run(command, input=block.text, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("block", blocks(language="python"))
def test_python_block_is_a_whole_program(block):
    ast.parse(block.text)
    assert block.text.startswith(("import", "from"))


@pytest.mark.parametrize("block", blocks(language="json"))
def test_json_block_is_json(block):
    json.loads(block.text)


def test_calls_by_hand_are_all_found():
    calls = [block.text.count("\ng ") + block.text.startswith("g ") for block in blocks("By hand")]
    assert len(CALLS) == sum(calls) > 5


@pytest.mark.parametrize(("service", "method", "request_"), CALLS)
def test_call_by_hand_is_a_request_of_the_contract(service, method, request_):
    described = descriptor_pool.Default().FindServiceByName(f"proa.v1.{service}")
    request = GetMessageClass(described.methods_by_name[method].input_type)()
    Parse(request_, request)
    assert request.ByteSize() > 0


def test_make_targets_are_those_of_the_makefile():
    makefile = (README.parent / "Makefile").read_text()
    described = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)) - {"help"}
    named = re.search(r"`make` alone lists the rest: `([^`]*)`", README.read_text())
    assert named is not None
    first = set(re.findall(r"^make ([a-z]+) ", blocks("Two commands")[0].text, re.MULTILINE))
    assert first | set(named[1].split()) == described
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == described | {"help"}
