"""What an error's text names is there: calls, modes and fields of the contract, settings."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import proad
from proa import v1
from proad.config.hosts import HostSettings
from proad.config.settings import Settings

ROOT = Path(proad.__path__[0])
# Where errors are made. Their texts are the literals of calls, and what is called a hint.
PLACES = ("errors", "drivers", "core", "model", "rpc", "auth")
CALLS = re.compile(r"Error$|^of$|^of_\w+$|^FieldViolation$")
HINTS = re.compile(r"hint|advice|said|denied|way_out|setting|_NOTHING|_MADE_WITH_IT")

RPC = re.compile(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b")
VALUE = re.compile(r"\b[A-Z]{2,}(?:_[A-Z]{2,})+\b")
FIELD = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")

OTHERS = {
    "AuthService",  # a service, which is named together with a call
    "on_poweroff",  # an element of a domain's XML
    "DOCKER_MIN_API_VERSION",  # read by dockerd
    *("DOCKER_HOST", "DOCKER_CERT_PATH"),  # read by Docker's own clients
    *("CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_SETGID", "CAP_SETUID"),  # of the kernel
}


def texts(path: Path) -> Iterator[str]:
    """Return what may come into an error's text, of all that is written in a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        values: list[ast.AST] = []
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                values += node.args if CALLS.search(name) or name == "__init__" else ()
                values += [each.value for each in node.keywords if HINTS.search(each.arg or "")]
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                if HINTS.search(name) and node.value is not None:
                    values += [node.value]
            case ast.FunctionDef(args=arguments):
                values += [each for each in (*arguments.kw_defaults, *arguments.defaults) if each]
        for value in values:
            for each in ast.walk(value):
                if isinstance(each, ast.Constant) and isinstance(each.value, str):
                    yield each.value


def messages() -> Iterator[Any]:
    for module in vars(v1).values():
        descriptor = getattr(module, "DESCRIPTOR", None)
        if descriptor is not None and hasattr(descriptor, "fields"):
            yield descriptor


SETTINGS = {
    spelt
    for name, field in (Settings.model_fields | HostSettings.model_fields).items()
    for spelt in (name, field.alias)  # which is what the file has
    if spelt
}
FIELDS = {field.name for message in messages() for field in message.fields} | SETTINGS
VALUES = {
    name
    for enum in vars(v1).values()
    if hasattr(enum, "DESCRIPTOR") and hasattr(enum.DESCRIPTOR, "values_by_name")
    for value, _ in enum.items()
    for prefix in [re.sub(r"(?<!^)(?=[A-Z])", "_", enum.DESCRIPTOR.name).upper() + "_"]
    for name in (value, value.removeprefix(prefix))
}
RPCS = {
    method.name
    for path in (ROOT / "rpc").glob("*_service.py")
    for method in ast.walk(ast.parse(path.read_text()))
    if isinstance(method, ast.AsyncFunctionDef)
}
MODULES = sorted(path for place in PLACES for path in (ROOT / place).rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_messages_name_existing_fields_and_rpcs_alone(path: Path):
    told = "\n".join(texts(path))
    assert set(RPC.findall(told)) - RPCS - OTHERS == set()
    assert set(VALUE.findall(told)) - VALUES - OTHERS == set()
    assert set(FIELD.findall(told)) - FIELDS - OTHERS == set()


def test_scan_finds_messages():
    """Otherwise the test above would prove nothing."""
    told = "\n".join(text for path in MODULES for text in texts(path))
    assert {"LoginRegistry", "RevertSnapshot", "GetHost"} <= set(RPC.findall(told))
    assert {"GRACEFUL_THEN_FORCE", "SCOPE_BASIC"} <= set(VALUE.findall(told))
    assert {"delete_snapshots", "ignore_unreadable", "discard_saved_state"} <= set(
        FIELD.findall(told)
    )
