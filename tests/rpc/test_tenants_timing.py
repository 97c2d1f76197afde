"""What is somebody else's and what nobody has are told apart by no clock."""

import pytest

from rpc.same_time import check_same_time
from rpc.tenants import tenant

_DIGITS = str.maketrans("0123456789abcdef", "123456789abcdef0")


@pytest.mark.parametrize("write", ["id", "name", "prefix"])
async def test_hidden_and_missing_take_the_same_time(daemon, write):
    alice, bella = await tenant(daemon, "alice"), await tenant(daemon, "bella")
    boxes = [await alice.container(f"zz{number:03}") for number in range(20)]
    hidden, missing = {
        "id": (lambda box: box.id, lambda box: box.id.translate(_DIGITS)),
        "name": (lambda box: box.name, lambda box: box.name.replace("z", "y")),
        "prefix": (lambda box: box.id[:12], lambda box: "".join(reversed(box.id[:12]))),
    }[write]
    await check_same_time(
        bella,
        "GetResource",
        [{"id": hidden(box)} for box in boxes],
        [{"id": missing(box)} for box in boxes],
    )
