"""The contract's example of each reason: the call fails for this reason."""

import pytest

from proad.errors import Reason
from rpc.examples import EXAMPLES
from unit.contract.test_reasons import documented

NOT_PLAYED = {Reason.INTERNAL, Reason.SHUTTING_DOWN}


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in NOT_PLAYED])
async def test_example_of_a_reason_fails_with_that_reason(serve, settings, reason):
    text, play = EXAMPLES[reason]

    refused = await play(serve, settings)

    assert refused.reason == reason
    assert documented()[reason].endswith(f" Example: {text}")


def test_examples_without_a_call_are_unchanged():
    """No call provokes an internal error, and test_shutdown covers SHUTTING_DOWN."""
    assert documented()[Reason.INTERNAL].endswith(
        "Example: none that we know of; please report it."
    )
    assert documented()[Reason.SHUTTING_DOWN].endswith("Example: any call after SIGTERM.")
