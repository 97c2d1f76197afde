"""The threats in docs/security.md are attacked by the tests that stand beside them."""

import ast
import re
from pathlib import Path

import pytest

from unit.readme.test_tables import SECURITY, rows

TESTS = Path(__file__).parents[2]
THREATS = rows(SECURITY, "| threat |")
_TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


@pytest.mark.parametrize("row", THREATS, ids=lambda row: row[0][:60])
def test_each_threat_has_a_control_and_tests_that_exist(row):
    threat, control, tests = row
    assert threat
    assert control
    found = _TEST.findall(tests)
    assert _TEST.sub("", tests).strip(" ,") == "", "each test as `FILE::NAME`, with commas"
    assert found
    for file, name in found:
        tree = ast.parse((TESTS / file).read_text())
        defined = {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name in defined, f"{file} has no {name}"
