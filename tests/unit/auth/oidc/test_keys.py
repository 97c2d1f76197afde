import asyncio
import json

import pytest

from issuer import Issuer, ec_key, ed_key, rsa_key
from proad.auth.oidc import IssuerKeys, JwksFile, JwksUnreadableError, JwksUrl, read_keys
from proad.auth.oidc.sources import MAX_BYTES
from proad.auth.timing import AuthTiming
from unit.auth.conftest import Clock

ALGORITHMS = ("RS256", "ES256", "EdDSA")
RSA, EC, ED = rsa_key(), ec_key(), ed_key()
MINUTE = 60.0


def read(*entries):
    return read_keys(json.dumps({"keys": entries}).encode(), ALGORITHMS)


@pytest.mark.parametrize("key", [RSA, EC, ED], ids=lambda key: key.algorithm)
def test_read_keys_takes_a_key_for_its_own_algorithm_alone(key):
    assert read(key.jwk())[key.kid].algorithms == {key.algorithm}
    assert read(key.jwk(alg=None))[key.kid].algorithms == {key.algorithm}


@pytest.mark.parametrize(
    "entry",
    [
        RSA.jwk(alg="HS256"),
        RSA.jwk(alg="none"),
        RSA.jwk(alg="ES256"),
        RSA.jwk(alg="RS512"),
        EC.jwk(alg="RS256"),
        EC.jwk(alg=["ES256"]),
        EC.jwk(use="enc"),
        EC.jwk(key_ops=["encrypt"]),
        EC.jwk(key_ops="verify"),
        EC.jwk(kid=""),
        EC.jwk(kid=None),
        EC.jwk(kid=7),
        EC.jwk(kid="x" * 256),
        EC.jwk(x="!"),
        EC.jwk(crv="P-257"),
        EC.jwk(kty="oct", k="c2VjcmV0"),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"},
        {"kid": "a"},
        rsa_key(bits=1024).jwk(),
        RSA.jwk(n="AQAB"),
        RSA.jwk(e=None),
        "text",
        None,
        [],
    ],
)
def test_read_keys_leaves_out_what_cannot_serve(entry):
    assert read(entry, ED.jwk()).keys() == {"ed"}


def test_read_keys_with_two_of_one_id_takes_none_of_them():
    assert read(EC.jwk(), ec_key().jwk(), ED.jwk()).keys() == {"ed"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"7",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": "x"}',
        b"[" * 100_000,
        b'{"keys":' + b"[" * 100_000,
        b'{"keys": [' + b"{}," * 101 + b"{}]}",
        "{'keys': []}".encode("utf-16"),
        b"\xff\xfe",
    ],
)
def test_read_keys_of_something_else_raises(data):
    with pytest.raises(JwksUnreadableError):
        read_keys(data, ALGORITHMS)


class Source:
    """A source of a key set that counts, and fails when told to."""

    def __init__(self, *keys):
        self.keys = list(keys)
        self.reads = 0
        self.fails = False
        self.admitted = asyncio.Event()
        self.admitted.set()

    async def read(self):
        self.reads += 1
        await self.admitted.wait()
        if self.fails:
            raise JwksUnreadableError("it is down")
        return json.dumps({"keys": [key.jwk() for key in self.keys]}).encode()


@pytest.fixture
def source():
    return Source(EC)


@pytest.fixture
def keys(source, clock: Clock):
    return IssuerKeys(source, ALGORITHMS, clock=clock)


async def test_find_fetches_once_for_many_at_once(keys, source):
    found = await asyncio.gather(*(keys.find("ec") for _ in range(50)))
    assert all(found)
    assert source.reads == 1


async def test_find_of_an_unknown_id_fetches_once_a_minute(keys, source, clock):
    await keys.find("ec")
    for number in range(100):
        assert await keys.find(f"unknown-{number}") is None
    assert source.reads == 1
    source.keys.append(ED)
    clock.now += MINUTE
    assert await keys.find("ed") is not None
    assert source.reads == 2


async def test_find_keeps_the_keys_while_the_issuer_is_down(keys, source, clock):
    await keys.find("ec")
    source.fails = True
    for _ in range(10):
        clock.now += 10 * MINUTE
        assert await keys.find("ec") is not None
        assert await keys.find("unknown") is None
        await keys.settle()
    assert source.reads > 5


async def test_find_at_first_fetches_again_a_minute_after_a_failure(keys, source, clock):
    source.fails = True
    for _ in range(5):
        assert await keys.find("ec") is None
    assert source.reads == 1
    source.fails = False
    clock.now += MINUTE
    assert await keys.find("ec") is not None


async def test_find_of_a_known_key_does_not_wait_for_a_fetch(keys, source, clock):
    await keys.find("ec")
    clock.now += 16 * MINUTE
    source.admitted.clear()
    assert await keys.find("ec") is not None
    await asyncio.sleep(0)
    assert source.reads == 2
    source.admitted.set()
    await keys.settle()


async def test_find_of_a_key_that_the_issuer_withdrew_is_none_once_fetched(keys, source, clock):
    await keys.find("ec")
    source.keys = [ED]
    clock.now += 16 * MINUTE
    await keys.find("ec")
    await keys.settle()
    assert await keys.find("ec") is None


async def test_find_after_long_idleness_does_not_return_a_key_that_was_withdrawn(
    keys, source, clock
):
    await keys.find("ec")
    source.keys = [ED]
    clock.now += 60 * MINUTE
    assert await keys.find("ec") is None


async def test_find_unlike_the_known_key_returns_what_the_issuer_has_now_once_a_minute(
    keys, source, clock
):
    before = await keys.find("ec")
    source.keys = [ec_key("ec")]
    assert await keys.find("ec", unlike=before) is None  # too soon
    clock.now += MINUTE
    after = await keys.find("ec", unlike=before)
    assert after is not None
    assert after.key != before.key
    assert source.reads == 2


async def test_find_that_is_cancelled_leaves_the_fetch_to_others(keys, source):
    source.admitted.clear()
    first = asyncio.create_task(keys.find("ec"))
    second = asyncio.create_task(keys.find("ec"))
    await asyncio.sleep(0)
    first.cancel()
    source.admitted.set()
    assert await second is not None
    assert source.reads == 1


def test_file_is_read(tmp_path):
    (tmp_path / "jwks").write_bytes(Issuer(EC).jwks())
    assert read_keys(JwksFile(tmp_path / "jwks").read_now(), ALGORITHMS).keys() == {"ec"}


def test_file_that_is_too_large_or_missing_raises(tmp_path):
    with pytest.raises(JwksUnreadableError, match="No such file"):
        JwksFile(tmp_path / "jwks").read_now()
    (tmp_path / "jwks").write_bytes(b" " * (MAX_BYTES + 1))
    with pytest.raises(JwksUnreadableError, match="more than"):
        JwksFile(tmp_path / "jwks").read_now()


@pytest.fixture
def issuer():
    with Issuer(EC).serving() as issuer:
        yield issuer


QUICK = AuthTiming(jwks_timeout=AuthTiming().jwks_timeout / 50)


async def test_url_is_fetched(issuer):
    assert await JwksUrl(issuer.url).read() == issuer.jwks()


async def test_url_with_a_redirect_is_not_followed(issuer):
    issuer.status, issuer.headers = 302, {"Location": issuer.url}
    with pytest.raises(JwksUnreadableError):
        await JwksUrl(issuer.url).read()
    assert issuer.fetches == 1


@pytest.mark.parametrize("status", [204, 304, 404, 500])
async def test_url_with_another_status_gives_no_keys(issuer, status):
    issuer.status, issuer.answer = status, b""
    with pytest.raises(JwksUnreadableError):
        read_keys(await JwksUrl(issuer.url).read(), ALGORITHMS)


async def test_url_with_a_large_answer_raises(issuer):
    issuer.answer = b" " * (MAX_BYTES + 1)
    with pytest.raises(JwksUnreadableError, match="more than"):
        await JwksUrl(issuer.url).read()


async def test_url_without_an_answer_raises_in_time(issuer):
    issuer.admitted.clear()
    with pytest.raises(JwksUnreadableError):
        await JwksUrl(issuer.url, timing=QUICK).read()


async def test_url_where_nobody_listens_raises():
    with pytest.raises(JwksUnreadableError):
        await JwksUrl("http://127.0.0.1:1/certs").read()


@pytest.mark.parametrize("url", ["file:///etc/hosts", "ftp://127.0.0.1/x", "data:,{}"])
async def test_url_of_another_scheme_raises(url):
    with pytest.raises(JwksUnreadableError):
        await JwksUrl(url, timing=QUICK).read()
