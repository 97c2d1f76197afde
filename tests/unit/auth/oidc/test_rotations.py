"""What keys that an issuer withdraws or replaces do to the tokens that they signed."""

import pytest

from issuer import ec_key
from proad.errors import TokenInvalidError
from unit.auth.oidc.signing_keys import ED

MINUTE = 60


async def test_token_of_a_new_key_with_an_old_id_is_accepted(issuer, accepted, clock):
    await accepted(issuer.token())
    issuer.keys = [ec_key("ec")]
    clock.now += MINUTE

    assert (await accepted(issuer.token())).username


async def test_token_that_was_accepted_is_refused_once_its_key_is_withdrawn(
    issuer, accepted, clock
):
    token = issuer.token()
    await accepted(token)
    issuer.keys = [ED]
    clock.now += 60 * MINUTE

    with pytest.raises(TokenInvalidError):
        await accepted(token)


async def test_token_that_was_accepted_is_refused_once_its_key_has_another_of_its_id(
    issuer, accepted, clock
):
    token = issuer.token()
    await accepted(token)
    issuer.keys = [ec_key("ec")]
    clock.now += 60 * MINUTE

    with pytest.raises(TokenInvalidError):
        await accepted(token)
