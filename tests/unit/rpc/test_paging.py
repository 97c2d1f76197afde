"""Page tokens of a daemon that sorted by something else."""

from datetime import UTC, datetime

import pytest

from proa import v1
from proad.auth.service import Caller
from proad.auth.tokens import Claims
from proad.core.listing import OrderBy
from proad.errors import PageTokenInvalidError
from proad.rpc import caller
from proad.rpc.paging import Paginator
from proad.rpc.signing import Signer


async def test_page_token_with_the_position_of_another_daemons_order_is_refused():
    """They outlive the daemon, and so an update of it."""
    caller.enter(Caller(Claims("ann", frozenset(), "t", 1, datetime.now(UTC))))
    paginator, order = Paginator(Signer([b"key"])), OrderBy("name")
    token = paginator.token(v1.ListResourcesRequest(), ("web", "web", "c0ffee", "local"))
    request = v1.ListResourcesRequest(page_token=token)

    with pytest.raises(PageTokenInvalidError):
        paginator.cut([], request, lambda _: (), comparable=order.at)
