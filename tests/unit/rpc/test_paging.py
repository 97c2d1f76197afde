"""Page tokens: whose they are, and what they ask for."""

from datetime import UTC, datetime

import pytest

from proa import v1
from proad.auth.service import Caller
from proad.auth.tokens import Claims
from proad.errors import PageTokenInvalidError
from proad.rpc import caller
from proad.rpc.paging import Paginator
from proad.rpc.signing import Signer
from proad.store.users import UserStatus

POSITION = ("web", "c0ffee", "local")


PAGINATOR = Paginator(Signer([b"key"]))


def enter(name):
    """Set the caller, in the task of a test alone."""
    caller.enter(Caller(Claims(name, frozenset(), "t", 1, datetime.now(UTC)), UserStatus(name)))


async def test_bounds_of_a_token_are_the_position_that_it_was_made_of():
    enter("ann")
    token = PAGINATOR.token(v1.ListResourcesRequest(order_by="name"), POSITION)
    request = v1.ListResourcesRequest(order_by="name", page_size=7, page_token=token)

    assert PAGINATOR.bounds(request) == (7, POSITION)


@pytest.mark.parametrize(("size", "limit"), [(0, 1000), (1, 1), (2000, 1000)])
async def test_bounds_without_a_token_begin_at_the_first_item(size, limit):
    enter("ann")
    assert PAGINATOR.bounds(v1.ListResourcesRequest(page_size=size)) == (limit, None)


async def test_bounds_of_a_token_of_another_request_are_refused():
    enter("ann")
    token = PAGINATOR.token(v1.ListResourcesRequest(order_by="name"), POSITION)

    with pytest.raises(PageTokenInvalidError):
        PAGINATOR.bounds(v1.ListResourcesRequest(order_by="name desc", page_token=token))


async def test_bounds_of_a_token_of_another_caller_are_refused():
    enter("ann")
    token = PAGINATOR.token(v1.ListResourcesRequest(), POSITION)
    enter("eve")

    with pytest.raises(PageTokenInvalidError):
        PAGINATOR.bounds(v1.ListResourcesRequest(page_token=token))
