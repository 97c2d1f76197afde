"""Who may try to log in now, after how many failures."""

from collections import OrderedDict
from collections.abc import Callable

from proad.auth.backoff import BackOff

# A mistyped password costs nothing.
_FREE_AT_A_PLACE = 5
_FREE_IN_ALL = 50

# Homes are learnt from good logins alone: nobody can fill this with made-up names.
_MOST_USERS = 10_000
_MOST_HOMES = 8


class Pacing:
    """Slows down who guesses passwords, and nobody else.

    A failed login counts twice: for that user at that place, and for that user at all
    places together. Too many of either demand pauses, which grow. The places from which a
    user has logged in, the user's homes, are apart from the count of all places: failures
    there are not in it, and its pauses are not for them. Hence

    - a guesser pauses alone, and not the user elsewhere or other users at that place;
    - guessers at many places together pause for that one user, at all places but the homes;
    - a home has the budget of its place, as every place has.

    What is remembered is bounded and cannot be driven out. A failure costs the daemon a
    bcrypt, and the few threads for that cannot make as many failures as there is room for
    in the time after which they are forgotten anyway. Homes are kept apart, the latest of
    each user, and only a good login of that user replaces one.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._pairs = BackOff[tuple[str, str]](free=_FREE_AT_A_PLACE, clock=clock)
        self._users = BackOff[str](free=_FREE_IN_ALL, clock=clock)
        self._places = BackOff[str](free=0, clock=clock)  # counts, demands no pauses
        self._homes: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()

    def check(self, user: str, place: str) -> None:
        """Let somebody try to log in as the user.

        Raises:
            TooManyAttemptsError: a pause is not over.
        """
        self._pairs.check((user, place))
        if not self.is_home(user, place):
            self._users.check(user)

    def failed(self, user: str, place: str) -> None:
        """Count a failure."""
        self._pairs.failed((user, place))
        self._places.failed(place)
        if not self.is_home(user, place):
            self._users.failed(user)

    def succeeded(self, user: str, place: str) -> None:
        """Make the place a home of the user and forget what failed there."""
        self._pairs.succeeded((user, place))
        self._places.succeeded(place)
        homes = self._homes.setdefault(user, OrderedDict())
        self._homes.move_to_end(user)
        homes[place] = None
        homes.move_to_end(place)
        if len(homes) > _MOST_HOMES:
            homes.popitem(last=False)
        if len(self._homes) > _MOST_USERS:
            self._homes.popitem(last=False)

    def is_home(self, user: str, place: str) -> bool:
        """Tell whether the user has logged in from the place."""
        return place in self._homes.get(user, ())

    def rank(self, user: str, place: str) -> int:
        """Return how soon a login shall have its turn among others, the least first.

        Homes come first, then places by how often logins of any user have failed there.
        """
        return 0 if self.is_home(user, place) else 1 + self._places.count(place)
