"""Client certificates: whom they stand for, for how long, and what else they open."""

import asyncio
import ssl
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address

import grpc
import pytest
from cryptography import x509

from certificates import DAY, Authority
from eventually import eventually
from free_port import free_port
from proa import v1
from proad.config import Settings
from proad.errors import SetupError
from proad.model.scope import Scope
from proad.tls import read_client_trust
from rpc.certified import Edge
from rpc.daemon import BOTH, RPCS, refusal

DNS = x509.DNSName("backend.example")
URI = x509.UniformResourceIdentifier("spiffe://example/backend")
MAPPED = ({"san": "dns:backend.example", "user": "ann"},)


@pytest.fixture
def edge(tmp_path, serve, settings):
    return Edge(tmp_path, serve, settings)


@pytest.mark.parametrize(
    ("mapped", "shown"),
    [
        ("dns:backend.example", DNS),
        ("uri:spiffe://example/backend", URI),
        ("email:ops@example", x509.RFC822Name("ops@example")),
        ("ip:192.0.2.7", x509.IPAddress(IPv4Address("192.0.2.7"))),
    ],
)
async def test_mapped_certificate_without_a_token_acts_as_its_user(edge, mapped, shown):
    await edge.start({"san": mapped, "user": "Ann"})
    issued = edge.authority.issue("whatever", x509.DNSName("other.example"), shown)
    async with edge.connected(issued) as channel:
        answer = await edge.call(channel)

    assert answer.username == "ann"
    assert list(answer.scopes) == [v1.SCOPE_BASIC, v1.SCOPE_ADVANCED]
    assert answer.expire_time.ToDatetime() == issued.certificate.not_valid_after_utc.replace(
        tzinfo=None
    )


async def test_certificate_without_alternative_names_is_known_by_its_whole_subject(edge):
    await edge.start({"subject": "CN=backend", "user": "ann"})
    async with edge.connected(edge.authority.issue("backend")) as channel:
        assert (await edge.call(channel)).username == "ann"


@pytest.mark.parametrize(
    ("mapped", "name", "alternatives"),
    [
        ({"subject": "CN=backend"}, "backend", [x509.DNSName("elsewhere.example")]),
        ({"subject": "CN=backend"}, "backend", [x509.RegisteredID(x509.NameOID.COMMON_NAME)]),
        ({"subject": "CN=backend,O=Example"}, "backend", []),
        ({"san": "dns:backend.example"}, "backend.example", []),
        ({"san": "dns:backend.example"}, "x", [x509.RFC822Name("backend.example")]),
        ({"san": "dns:backend.example"}, "x", [x509.DNSName("*.example")]),
        ({"san": "dns:backend.example"}, "x", [x509.UniformResourceIdentifier("dns:backend.example")]),
        ({"san": "email:ops@example"}, "x", [x509.DNSName("ops@example")]),
    ],
    ids=str,
)  # fmt: skip
async def test_certificate_with_another_name_stands_for_nobody(edge, mapped, name, alternatives):
    await edge.start(mapped | {"user": "ann"})
    async with edge.connected(edge.authority.issue(name, *alternatives)) as channel:
        assert await edge.reason(channel) == "TOKEN_MISSING"
        assert await edge.reason(channel, token=edge.daemon.token(*BOTH)) is None


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(b"\x30\x02\xa3\x00", id="of X.400"),
        pytest.param(b"\x30\x02\xa5\x00", id="of EDI"),
        pytest.param(b"\x30\x11\x82\x0fbackend\0.example", id="with NUL"),
        pytest.param(b"\x30\x05\x82\x03\xff\xfe\xfd", id="no ASCII"),
        pytest.param(b"\x30\x00", id="none"),
        pytest.param(b"\x05\x00", id="nothing"),
    ],
)
async def test_certificate_with_odd_names_stands_for_nobody(edge, names):
    await edge.start(*MAPPED, {"subject": "CN=backend.example", "user": "ann"})
    issued = edge.authority.issue("backend.example", odd_names=names)
    async with edge.connected(issued) as channel:
        refused = await refusal(edge.call(channel))
    assert (refused.code, refused.reason) in {
        ("UNAUTHENTICATED", "TOKEN_MISSING"),
        ("UNAVAILABLE", None),  # the handshake failed
    }


async def test_certificate_of_two_users_stands_for_nobody(edge):
    await edge.start(*MAPPED, {"san": "uri:spiffe://example/backend", "user": "bob"})
    async with edge.connected(edge.authority.issue("x", DNS, URI)) as channel:
        assert await edge.reason(channel) == "TOKEN_MISSING"


async def test_scopes_of_a_certificate_are_those_named_that_the_user_has(edge):
    await edge.start(
        {"san": "dns:backend.example", "user": "ann", "scopes": ["basic", "audit"]},
        {"san": "uri:spiffe://example/backend", "user": "bob", "scopes": ["advanced"]},
    )
    async with (
        edge.connected(edge.authority.issue("x", DNS)) as some,
        edge.connected(edge.authority.issue("x", URI)) as none,
    ):
        assert list((await edge.call(some)).scopes) == [v1.SCOPE_BASIC]
        assert await edge.reason(some, "PauseResource") == "SCOPE_MISSING"
        assert await edge.reason(none, "ListResources") == "SCOPE_MISSING"


async def test_token_goes_before_the_certificate_and_is_never_replaced_by_it(edge):
    await edge.start(*MAPPED)
    daemon = edge.daemon
    token = daemon.token(Scope.BASIC, username="bob")
    async with edge.connected(edge.authority.issue("x", DNS)) as channel:
        assert (await edge.call(channel, token=token)).username == "bob"
        await edge.call(channel, "RevokeToken", token=token)
        assert await edge.reason(channel, token=token) == "TOKEN_REVOKED"
        assert await edge.reason(channel, token="nonsense") == "TOKEN_INVALID"
        metadata = [("authorization", "Basic YW5uOng=")]
        refused = await refusal(
            daemon.send(
                RPCS["GetCaller"], v1.GetCallerRequest(), metadata=metadata, channel=channel
            )
        )
        assert refused.reason == "TOKEN_MISSING"


async def test_certificate_cannot_be_revoked_as_a_token(edge):
    await edge.start(*MAPPED)
    async with edge.connected(edge.authority.issue("x", DNS)) as channel:
        assert await edge.reason(channel, "RevokeToken") == "TOKEN_MISSING"
        assert (await edge.call(channel)).username == "ann"


@pytest.mark.parametrize("change", ["disabled", "removed", "password", "scopes"])
async def test_change_of_the_user_ends_streams_and_is_in_force_for_new_calls(edge, change):
    await edge.start(*MAPPED)
    users = edge.daemon.users
    async with edge.connected(edge.authority.issue("x", DNS)) as channel:
        watch = edge.call(channel, "WatchResources")
        assert (await watch.read()).events
        match change:
            case "disabled":
                await users.set_disabled("ann", disabled=True)
            case "removed":
                await users.remove("ann")
            case "password":
                await users.set_password("ann", "x")
            case "scopes":
                await users.set_scopes("ann", [])

        refused = await refusal(_end(watch))
        expected = {"password": None, "scopes": "SCOPE_MISSING"}.get(change, "TOKEN_INVALID")

        async def in_force():
            return await edge.reason(channel, "ListResources") == expected

        await eventually(in_force)
    assert refused.reason == "TOKEN_INVALID"


async def _end(watch):
    while await watch.read() is not grpc.aio.EOF:
        pass


@pytest.mark.parametrize("change", ["authority", "mapping", "revoked"])
async def test_reload_is_in_force_for_connections_that_exist(edge, tmp_path, change):
    """Their handshake is long over, and gRPC keeps them."""
    newer = Authority("newer")
    (tmp_path / "clients.crl").write_bytes(edge.authority.revoke())
    await edge.start(*MAPPED, tls_client_crl_file=tmp_path / "clients.crl")
    issued = edge.authority.issue("x", DNS)
    async with edge.connected(issued) as channel:
        watch = edge.call(channel, "WatchResources")
        assert (await watch.read()).events
        match change:
            case "authority":
                edge.trust(newer)
                (tmp_path / "clients.crl").write_bytes(newer.revoke())
            case "mapping":
                edge.change(client_certificate=())
            case "revoked":
                (tmp_path / "clients.crl").write_bytes(edge.authority.revoke(issued))

        done = await edge.reload()

        changed = {
            "authority": ["tls_client_ca_file"],
            "mapping": ["client_certificate"],
            "revoked": ["tls_client_crl_file"],
        }
        assert done.changed == changed[change]
        expected = "TOKEN_INVALID" if change == "revoked" else "TOKEN_MISSING"
        assert await edge.reason(channel) == expected
        assert (await refusal(_end(watch))).reason == "TOKEN_INVALID"


async def test_reload_reaches_each_address(edge, tmp_path):
    """gRPC asks for each on its own whether anything has changed."""
    other = free_port()
    await edge.start(listen=f"unix:{tmp_path}/s,127.0.0.1:{edge.port},127.0.0.1:{other}")
    newer = edge.authority.server()
    newer.write(tmp_path, "server")
    await edge.reload()

    for port in (edge.port, other, edge.port, other):
        shown = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
        serial = x509.load_pem_x509_certificate(shown.encode()).serial_number
        assert serial == newer.certificate.serial_number


async def test_revoked_certificate_is_refused_with_a_token_too(edge, tmp_path):
    good, bad = (edge.authority.issue("x", DNS) for _ in range(2))
    (tmp_path / "clients.crl").write_bytes(edge.authority.revoke(bad))
    await edge.start(*MAPPED, tls_client_crl_file=tmp_path / "clients.crl")
    token = edge.daemon.token(*BOTH)
    async with edge.connected(good) as channel:
        assert (await edge.call(channel)).username == "ann"
    async with edge.connected(bad) as channel:
        assert await edge.reason(channel) == "TOKEN_INVALID"
        assert await edge.reason(channel, token=token) == "TOKEN_INVALID"
        assert await edge.reason(channel, "CreateToken") == "TOKEN_INVALID"
    assert (await edge.daemon.call("GetCaller")).username == "ann"  # on the Unix socket


async def test_certificate_below_a_revoked_one_is_revoked(edge, tmp_path):
    between = Authority("between", above=edge.authority)
    issued = between.issue("x", DNS)
    (tmp_path / "clients.crl").write_bytes(edge.authority.revoke())
    await edge.start(*MAPPED, tls_client_crl_file=tmp_path / "clients.crl")
    async with edge.connected(issued) as channel:
        assert (await edge.call(channel)).username == "ann"
        (tmp_path / "clients.crl").write_bytes(edge.authority.revoke(between))
        await edge.reload()
        assert await edge.reason(channel) == "TOKEN_INVALID"


async def test_certificate_below_one_that_is_of_no_authority_stands_for_nobody(edge):
    """Who has a certificate of the newer authority signs, for the key of the older one, another."""
    older, newer = edge.authority, Authority("newer")
    lender = newer.issue("lender")
    issued = older.issue("x", DNS)
    shown = replace(issued, above=(older.signed_by(lender), lender.certificate))
    await edge.start(*MAPPED)
    edge.trust(older, newer)
    await edge.reload()
    async with edge.connected(shown) as channel:
        assert (await edge.call(channel)).username == "ann"
        edge.trust(newer)
        await edge.reload()
        assert await edge.reason(channel) == "TOKEN_MISSING"


async def test_certificate_below_one_that_expires_on_an_open_connection_is_refused(edge):
    between = Authority("between", above=edge.authority, end=timedelta(seconds=4))
    await edge.start(*MAPPED)
    async with edge.connected(between.issue("x", DNS)) as channel:
        watch = edge.call(channel, "WatchResources")
        assert (await watch.read()).events
        assert (await refusal(_end(watch))).code == "UNAUTHENTICATED"
        assert await edge.reason(channel) == "TOKEN_INVALID"


async def test_certificate_that_expires_on_an_open_connection_is_refused(edge):
    await edge.start(*MAPPED)
    async with edge.connected(edge.authority.issue("x", DNS, end=timedelta(seconds=4))) as channel:
        watch = edge.call(channel, "WatchResources")
        assert (await watch.read()).events
        assert (await refusal(_end(watch))).code == "UNAUTHENTICATED"
        assert await edge.reason(channel) == "TOKEN_INVALID"


@pytest.mark.parametrize("shown", ["expired", "of the future", "of another authority", "none"])
async def test_certificate_that_is_not_good_makes_no_connection(edge, shown):
    await edge.start(*MAPPED)
    issued = {
        "expired": edge.authority.issue("x", DNS, end=-DAY / 2),
        "of the future": edge.authority.issue("x", DNS, begin=DAY / 2),
        "of another authority": Authority().issue("x", DNS),
        "none": None,
    }
    async with edge.connected(issued[shown]) as channel:
        assert (await refusal(edge.call(channel))).code == "UNAVAILABLE"


async def test_certificate_of_a_trusted_proxy_stands_for_nobody(edge):
    """Or all who call through the proxy would be that user."""
    await edge.start(*MAPPED, trusted_proxies="127.0.0.0/8")
    async with edge.connected(edge.authority.issue("x", DNS)) as channel:
        assert await edge.reason(channel) == "TOKEN_MISSING"


async def test_address_that_demands_no_certificate_asks_for_none(edge, tmp_path):
    other = f"127.0.0.1:{free_port()}"
    await edge.start(
        *MAPPED,
        listen=f"unix:{tmp_path}/s,127.0.0.1:{edge.port},{other}",
        tls_client_listen=other,
    )
    async with edge.connected() as channel:
        assert await edge.reason(channel, token=edge.daemon.token(*BOTH)) is None
    async with edge.connected(edge.authority.issue("x", DNS)) as channel:
        assert await edge.reason(channel) == "TOKEN_MISSING"


@pytest.mark.parametrize(
    ("made", "cause"),
    [
        (lambda _ours: b"nothing", "lists of revoked certificates in PEM"),
        (lambda _ours: Authority().revoke(), "of none of the clients' authorities"),
        (lambda ours: ours.revoke(end=-DAY / 2), "out of date since"),
        (lambda ours: ours.revoke() + ours.revoke()[:-40], "not whole"),
        (lambda ours: ours.revoke() + ours.revoke()[40:], "not whole"),
    ],
)
def test_read_client_trust_of_a_bad_list_is_refused(tmp_path, made, cause):
    ours = Authority()
    ours.server().write(tmp_path, "server")
    (tmp_path / "clients.crt").write_bytes(ours.pem)
    (tmp_path / "clients.crl").write_bytes(made(ours))
    settings = Settings(
        tls_cert_file=tmp_path / "server.crt",
        tls_key_file=tmp_path / "server.key",
        tls_client_ca_file=tmp_path / "clients.crt",
        tls_client_crl_file=tmp_path / "clients.crl",
    )
    with pytest.raises(SetupError, match=cause):
        read_client_trust(settings.tls)


async def test_certificate_stands_for_its_user_at_the_named_addresses_alone(edge):
    """As a service of the inner network does, whose certificate must open nothing outside."""
    inside, outside = edge.port, free_port()
    listen = f"127.0.0.1:{outside},127.0.0.1:{inside}"
    table = {**MAPPED[0], "listen": [f"127.0.0.1:{inside}"]}
    await edge.start(table, listen=listen)
    issued = edge.authority.issue("whatever", DNS)

    async def reasons():
        found = []
        for edge.port in (inside, outside):
            async with edge.connected(issued) as channel:
                found.append(await edge.reason(channel))
        return found

    assert await reasons() == [None, "TOKEN_MISSING"]
    token = edge.daemon.token(*BOTH)
    async with edge.connected(issued) as channel:
        assert await edge.reason(channel, token=token) is None

    edge.change(client_certificate=({**MAPPED[0], "listen": [f"127.0.0.1:{outside}"]},))
    await edge.reload()
    assert await reasons() == ["TOKEN_MISSING", None]

    edge.change(client_certificate=MAPPED)
    await edge.reload()
    assert await reasons() == [None, None]
