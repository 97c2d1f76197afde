"""Places for streams by SSH."""

import pytest

from proad.drivers.docker.http.places import StreamPlaces
from proad.errors import HostExhaustedError


def test_user_has_as_many_places_as_are_free():
    user = "a"
    places = StreamPlaces(lambda: user, 8)
    taken = [places.of_user()() for _ in range(4)]
    with pytest.raises(HostExhaustedError, match="4 are free and this user has 4"):
        places.of_user()()
    user = "b"
    taken += [places.of_user()() for _ in range(2)]
    with pytest.raises(HostExhaustedError, match="at most 8 streams"):
        places.of_user()()
    for give_back in taken:
        give_back()
    for _ in range(4):
        places.of_user()()
