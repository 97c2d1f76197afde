"""Error reasons: the contract's enum, ours, the codes and the errors that carry them."""

import re
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest
from google.rpc import code_pb2

import proad
from proa import v1
from proad.errors import ProaError, Reason
from proad.rpc.status import CODES

PROTO = Path(__file__).parents[3] / "protos/proa/v1/error_reason.proto"
# Used for any unexpected exception, so that no error class has it.
OF_ANYTHING_ELSE = {Reason.INTERNAL}


def documented():
    """Return the comment of each reason."""
    comments, found = [], {}
    for line in PROTO.read_text().splitlines():
        if comment := re.match(r"\s*// ?(.*)", line):
            comments.append(comment[1])
        elif value := re.match(r"\s*ERROR_REASON_(\w+) = \d+;", line):
            found[value[1]] = " ".join(comments)
            comments = []
        else:
            comments = []
    return found


def error_classes(cls=ProaError):
    for sub in cls.__subclasses__():
        yield sub
        yield from error_classes(sub)


def test_reasons_match_contract_enum():
    assert [f"ERROR_REASON_{reason}" for reason in Reason] == v1.ErrorReason.keys()[1:]


@pytest.mark.parametrize("reason", Reason)
def test_reason_comment_has_code_and_example(reason):
    comment = documented()[reason]
    codes = re.match(r"([A-Z_]+)(?: or ([A-Z_]+))?\. ", comment)

    assert codes is not None
    assert code_pb2.Code.Name(CODES[reason]) == codes[1]
    assert (codes[2] == "ABORTED") == (reason is Reason.ENGINE_CONFLICT)
    assert "Example: " in comment


def test_each_reason_has_an_error_class():
    for module in walk_packages(proad.__path__, "proad."):
        if not module.name.startswith(
            ("proad.store.migrations", "proad.__main__", "proad.drivers.")
        ):
            import_module(module.name)
    raised = {cls.reason for cls in error_classes() if hasattr(cls, "reason")}

    assert raised == set(Reason) - OF_ANYTHING_ELSE
    assert set(CODES) == set(Reason)


def test_abstract_error_classes_have_no_reason():
    assert {cls.__name__ for cls in error_classes() if not hasattr(cls, "reason")} == {
        "NotFoundError"
    }
