"""Which registries are allowed, however they are spelled."""

import socket
import threading

import pytest

from proad.core.actor import act_for
from proad.core.gate import PolicyGate
from proad.core.inventory import Inventory
from proad.core.registries import RegistryJudge
from proad.errors import InvalidArgumentError
from proad.model import DOCKER_HUB, Subject, registry_of
from proad.policy import Policy

NEAR = [
    "localhost",
    "LOCALHOST",
    "localhost:5000",
    "a.localhost:5000",
    "localhost.:5000",
    "127.0.0.1:5000",
    "127.1:5000",
    "127.255.255.254",
    "2130706433:5000",
    "0x7f000001:5000",
    "0x7f.1:80",
    "017700000001:80",
    "0177.0.0.1:80",
    "127.0.0.1.:80",
    "0.0.0.0:5000",
    "0:5000",
    "169.254.169.254",
    "169.254.0.1:80",
    "0xA9FEA9FE:80",
    "100.100.100.200",
    "[::1]:5000",
    "[0:0:0:0:0:0:0:1]",
    "[::]:5000",
    "[::ffff:127.0.0.1]:5000",
    "[::ffff:a9fe:a9fe]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1]:5000",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
]
FAR = ["", "docker.io", "10.0.0.1:5000", "192.168.1.1", "172.17.0.1", "8.8.8.8", "[2001:db8::1]:5000", "[fd00::1]"]  # fmt: skip


@pytest.fixture
def names(monkeypatch):
    """Resolve these names in place of the system's resolver."""
    entry = {"reg.test": ["10.0.0.1"], "trick.test": ["10.0.0.1", "127.0.0.1"], "six.test": ["::1"]}

    def refresh(host, port, **options):
        if host not in entry:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 0)) for a in entry[host]]

    monkeypatch.setattr(socket, "getaddrinfo", refresh)


async def denied(allowed, registry):
    """Return the rule that denies a registry, or None."""
    found = await RegistryJudge().judge(registry or DOCKER_HUB, allowed)
    return found.rule if found else None


@pytest.mark.parametrize("registry", NEAR)
async def test_check_near_registry_is_denied_unless_named(names, registry):
    assert await denied(["*"], registry) == "registry on loopback or link-local"
    assert await denied([], registry) == "registry not listed"
    if not registry.endswith(".:80"):
        assert await denied(["*", registry], registry) is None


@pytest.mark.parametrize("registry", FAR)
async def test_check_far_registry_is_allowed(names, registry):
    assert await denied(["*"], registry) is None
    assert await denied(["other.test"], registry) == "registry not listed"


async def test_check_denied_names_the_setting():
    found = await RegistryJudge().judge("localhost:5000", ["*"])

    assert found is not None
    assert found.setting == "allowed_registries"


async def test_check_resolver_hangs_allows_after_resolve_within(monkeypatch):
    hung = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: (hung.wait(), [])[1])
    judge = RegistryJudge(resolve_within=0.05)
    before = threading.active_count()
    try:
        for number in range(10):
            assert await judge.judge(f"reg{number}.test", ["*"]) is None
        assert threading.active_count() - before <= 4
    finally:
        hung.set()


async def test_check_name_with_one_near_address_is_denied(names):
    assert await denied(["*"], "reg.test:5000") is None
    assert await denied(["*"], "trick.test:5000") == "registry on loopback or link-local"
    assert await denied(["*"], "TRICK.test.") == "registry on loopback or link-local"
    assert await denied(["*"], "six.test") == "registry on loopback or link-local"
    assert await denied(["*", "trick.test"], "trick.test:5000") is None
    assert await denied(["*"], "unknown.test") is None


@pytest.mark.parametrize(
    ("pattern", "registry", "fits"),
    [
        ("reg.test", "reg.test:5000", True),
        ("reg.test", "REG.test", True),
        ("reg.test:5000", "reg.test:5000", True),
        ("reg.test:5000", "reg.test", False),
        ("reg.test:5000", "reg.test:5001", False),
        ("*.test", "reg.test:1", True),
        ("*.test", "a.b.test", True),
        ("*.test", "test", False),
        ("*.test", "eviltest", False),
        ("*.test:5000", "a.test:5000", True),
        ("*.test:5000", "a.test", False),
        ("127.0.0.1:5000", "127.1:5000", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("[::1]:5000", "[0::1]:5000", True),
        ("docker.io", "", True),
    ],
)
async def test_check_pattern_allows_what_it_matches(pattern, registry, fits):
    assert (await denied([pattern], registry) is None) is fits


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        ("debian", "docker.io"),
        ("debian:12", "docker.io"),
        ("user/x", "docker.io"),
        ("docker.io/user/x", "docker.io"),
        ("index.docker.io/x", "docker.io"),
        ("localhost/x", "localhost"),
        ("localhost:5000/x@sha256:00", "localhost:5000"),
        ("LOCALHOST/x", "LOCALHOST"),
        ("2130706433/x", "docker.io"),
        ("2130706433:80/x", "2130706433:80"),
        ("127.1/x:1", "127.1"),
        ("Host/x", "Host"),
        ("[::1]:5000/x", "[::1]:5000"),
        ("a@127.0.0.1/x", "a@127.0.0.1"),
    ],
)
def test_registry_of_image_is_the_one_that_docker_asks(image, registry):
    assert registry_of(image) == registry


@pytest.mark.parametrize(
    "registry",
    ["http://a.test", "a.test/v1/", "me:pw@a.test", "a.test:", "a.test:1:2", "[::1", "a b", "é.test", "::1", "-a.test", "a.test:123456"],
)  # fmt: skip
async def test_check_malformed_registry_raises_invalid_argument(registry):
    gate = PolicyGate(Policy(allowed_registries=("*", "a.test")), Inventory([]))
    act_for(Subject("ann"))

    with pytest.raises(InvalidArgumentError, match="must be HOST or HOST:PORT"):
        await gate.admit_registry(registry)


async def test_check_image_malformed_name_raises_invalid_argument():
    gate = PolicyGate(Policy(), Inventory([]))
    act_for(Subject("ann"))

    for image in ("a@127.0.0.1/x", "a:1:2/x", "http://a.test/x", "me:pw@a.test/x"):
        with pytest.raises(InvalidArgumentError, match="is no image name"):
            await gate.admit_image(image)
