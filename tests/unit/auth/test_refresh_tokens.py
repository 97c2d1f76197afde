import base64
import hmac
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proad.auth.refresh_tokens import RefreshTokens
from proad.errors import TokenInvalidError

ID = "5e0a7f3c-2b1d-4c6e-9f80-1a2b3c4d5e6f"
TOKENS = RefreshTokens([b"n" * 32, b"o" * 32])


@given(st.uuids(), st.integers(0, 2**48 - 1))
def test_make_and_read_agree(id, number):
    token = TOKENS.make(str(id), number)
    assert (TOKENS.session_id(token), TOKENS.number(token)) == (str(id), number)
    assert len(token) < 255


def test_make_of_the_same_number_gives_the_same_token():
    assert TOKENS.make(ID, 7) == TOKENS.make(ID, 7) != TOKENS.make(ID, 8)


def test_number_of_a_token_of_the_key_before_is_read():
    assert TOKENS.number(RefreshTokens([b"o" * 32]).make(ID, 3)) == 3


def test_number_of_a_token_of_another_daemon_raises():
    with pytest.raises(TokenInvalidError):
        TOKENS.number(RefreshTokens([b"x" * 32]).make(ID, 3))


def test_token_has_a_mac_of_256_bits_over_its_session_and_number():
    data = base64.urlsafe_b64decode(TOKENS.make(ID, 5).removeprefix("proa_rt_"))
    content = uuid.UUID(ID).bytes + (5).to_bytes(6, "big")
    assert data == content + hmac.digest(b"n" * 32, content, "sha256")


TOKEN = TOKENS.make(ID, 1)


@given(st.integers(0, len(TOKEN) - 1), st.characters())
def test_number_of_a_token_with_one_other_character_raises(position, character):
    token = TOKEN[:position] + character + TOKEN[position + 1 :]
    if token == TOKEN:
        return
    with pytest.raises(TokenInvalidError):
        TOKENS.number(token)


@given(st.text() | st.binary(max_size=80).map(lambda data: data.decode("latin-1")))
def test_number_of_any_text_raises(text):
    for token in (text, f"proa_rt_{text}", f"{text}{TOKEN}x", f"x{TOKEN}{text}"):
        with pytest.raises(TokenInvalidError):
            TOKENS.number(token)


@given(st.binary(min_size=54, max_size=54))
def test_number_of_any_bytes_raises(data):
    token = "proa_rt_" + base64.urlsafe_b64encode(data).decode()
    assert TOKENS.session_id(token) == str(uuid.UUID(bytes=data[:16]))
    with pytest.raises(TokenInvalidError):
        TOKENS.number(token)


@pytest.mark.parametrize(
    "token",
    [f"{TOKEN}=", f" {TOKEN}", f"{TOKEN}\n", TOKEN.upper(), TOKEN[:-1], TOKEN[8:], "", TOKEN * 2],
)
def test_number_of_another_spelling_raises(token):
    with pytest.raises(TokenInvalidError):
        TOKENS.number(token)
