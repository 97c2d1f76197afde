"""The tables of the README and of docs/ match the code and the contract."""

import re
from pathlib import Path

import pytest
from google.rpc import code_pb2

from proa import v1
from proad.config.hosts import DEFAULT_HOST
from proad.config.loading import setting_variables
from proad.config.settings import Settings
from proad.errors import Reason
from proad.rpc import server
from proad.rpc.methods import SERVICES
from proad.rpc.status import CODES, ERROR_DOMAIN
from proad.rpc.stream_limiter import MOST_PER_ADDRESS
from proad.rpc.timing import RpcTiming
from readme import LANGUAGES, README, blocks

TIMING = RpcTiming()
LIMITS = README.parent / "docs/limits.md"
SECURITY = README.parent / "docs/security.md"
COMPATIBILITY = README.parent / "docs/compatibility.md"
ACCESS = (
    v1.MethodAccess(public=True),
    v1.MethodAccess(authenticated=True),
    v1.MethodAccess(scopes=[v1.SCOPE_BASIC]),
    v1.MethodAccess(scopes=[v1.SCOPE_ADVANCED]),
    v1.MethodAccess(scopes=[v1.SCOPE_AUDIT]),
)


def rows(page: Path, head: str) -> list[list[str]]:
    """Return the cells of the table with this beginning of its head."""
    _, _, after = page.read_text().partition(f"\n{head}")
    _, *lines = after.partition("\n\n")[0].splitlines()
    assert lines, head
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def test_calls_table_matches_contract():
    told = {name: cells for name, *cells in rows(README, "| service |")}
    assert told == {
        service.name: [
            ", ".join(
                method.name
                for method in service.methods
                if method.GetOptions().Extensions[v1.access] == access
            )
            for access in ACCESS
        ]
        for service in SERVICES
    }


def test_errors_table_has_each_reason_at_its_code():
    told = {
        (code.partition(" ")[0], reason)
        for code, reasons in rows(README, "| code |")
        for reason in re.findall(r"\b[A-Z]+(?:_[A-Z]+)*\b", reasons)
        if reason in Reason.__members__
    }
    # A retry may or may not succeed, so that both codes have the reason.
    twice = {(code_pb2.Code.Name(code_pb2.ABORTED), Reason.ENGINE_CONFLICT.value)}
    assert told == {(code_pb2.Code.Name(code), str(r)) for r, code in CODES.items()} | twice


def test_pages_name_the_domain_of_errors():
    told = {
        page.name: set(re.findall(r"domain`?\s+[`\"]([\w.]+)[`\"]", page.read_text()))
        for page in (README, LANGUAGES, COMPATIBILITY)
    }
    assert told == {page: {ERROR_DOMAIN} for page in told}


def test_variables_table_has_settings_and_defaults():
    values = {
        **Settings().model_dump(mode="json", exclude={"hosts", "listen"}),
        **DEFAULT_HOST.model_dump(mode="json"),
        "listen": str(Settings().listen[0]),
        "media_dirs": ",".join(map(str, DEFAULT_HOST.media_dirs)),
    }
    for variables, defaults, _ in rows(README, "| variable |"):
        names = re.findall(r"`(\w+)`", variables)
        assert set(names) <= setting_variables()
        for name, default in zip(names, defaults.split(", "), strict=False):
            if literal := re.fullmatch(r"`(\S+)`|(\d+)", default):
                assert (literal[1] or literal[2]) == str(values[name.removeprefix("PROA_").lower()])


def test_requests_table_has_contract_sizes():
    units = {"KiB": 1024, "MiB": 1024 * 1024}
    told = {
        int(size) * units[unit]
        for _, text in rows(LIMITS, "| a request")
        for size, unit in [text.split()]
    }
    assert told == {
        method.GetOptions().Extensions[v1.max_request_bytes]
        for service in SERVICES
        for method in service.methods
    }


def test_connection_limits_match_server():
    documented = {name: re.findall(r"\d+", text) for name, text in rows(LIMITS, "| a connection |")}
    assert documented == {
        "headers of a call": [str(server._METADATA_BYTES // 1024)],
        "handshake": [str(TIMING.handshake)],
        "without a call": [str(TIMING.idle // 60)],
        "keepalive": [str(TIMING.keepalive), str(TIMING.keepalive_timeout)],
        "calls at a time": [],
        "age": [],
    }


def test_stream_limits_and_timeouts_match_code():
    text = " ".join(LIMITS.read_text().split())
    assert f"then has {TIMING.read_timeout} s to send it" in text
    lifetime = TIMING.public_stream_lifetime // 60
    assert f"after {lifetime} min, and one address may have {MOST_PER_ADDRESS} of them" in text


@pytest.mark.parametrize("page", [README, LANGUAGES, LIMITS, SECURITY], ids=lambda page: page.name)
def test_links_have_existing_targets(page: Path):
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert links
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_languages_table_matches_contract():
    options = v1.Resource.DESCRIPTOR.file.GetOptions()
    go, _, go_name = options.go_package.partition(";")
    stubs = {language: cell for language, _, cell, _ in rows(README, "| language |")}
    assert stubs == stubs | {
        "Go": f"`{go}`, named `{go_name}`",
        "Java": f"`{options.java_package}`",
        "C#": f"`{options.csharp_namespace}`",
        "Ruby": f"`{options.ruby_package}`",
        "PHP": f"`{options.php_namespace}`",
        "Kotlin": f"`{options.java_package}`",
        "Objective-C": f"the prefix `{options.objc_class_prefix}`",
    }


def test_languages_have_the_same_headings_in_table_and_page():
    named = [language for language, *_ in rows(README, "| language |")]
    headings = list(dict.fromkeys(block.heading for block in blocks(page=LANGUAGES)))
    assert headings == [*named[:5], "Other languages"]


def test_each_go_install_names_one_package():
    text = "".join(block.text for block in blocks(language="sh", page=LANGUAGES))
    installs = re.findall(r"^go install (.*)$", text, re.MULTILINE)
    assert installs
    # Go refuses packages of two modules in one command, and each of these tools is a module.
    assert [line for line in installs if len(line.split()) != 1] == []
