"""Rate limiting of failed logins."""

from collections import OrderedDict
from collections.abc import Callable

from proad.auth.backoff import BackOff
from proad.auth.timing import AuthTiming

# Failures without a pause: of a user at one address, and of a user at all addresses.
_FREE_PER_ADDRESS = 5
_FREE_PER_USER = 50

# Only successful logins make an address known, so that made-up names take no room here.
_MAX_USERS = 10_000
_MAX_KNOWN_ADDRESSES = 8


class LoginLimiter:
    """Imposes growing pauses on guessed logins, without locking out the real user.

    A failed login counts twice: for the user at that address, and for the user at all
    addresses. Too many of either impose pauses. An address from which the user has logged in
    before, a known address, is exempt from the second count in both directions: failures there
    do not count, and its pauses do not apply there. Hence

    - a guesser is paused alone, neither the user elsewhere nor other users at that address;
    - guessers at many addresses are paused for that user at all addresses but the known ones;
    - a known address has the budget of one address, as any other.

    Memory is bounded, and no record can be evicted on purpose: a failure costs the daemon one
    bcrypt, and its few threads cannot produce more failures than there is room for within the
    time after which a failure is forgotten anyway. Of the known addresses, only a successful
    login of the same user replaces one.

    Args:
        clock: monotonic time in seconds.
        timing: the length of pauses, and when failures are forgotten.
    """

    def __init__(self, *, clock: Callable[[], float], timing: AuthTiming = AuthTiming()) -> None:
        self._pairs = BackOff[tuple[str, str]](free=_FREE_PER_ADDRESS, clock=clock, timing=timing)
        self._users = BackOff[str](free=_FREE_PER_USER, clock=clock, timing=timing)
        # For priorities alone: imposes no pauses.
        self._addresses = BackOff[str](free=0, clock=clock, timing=timing)
        self._known_addresses: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()

    def check(self, user: str, address: str) -> None:
        """Check that a login may be tried.

        Raises:
            TooManyAttemptsError: a pause has not ended.
        """
        self._pairs.check((user, address))
        if not self.is_known(user, address):
            self._users.check(user)

    def failed(self, user: str, address: str) -> None:
        """Count a failure."""
        self._pairs.failed((user, address))
        self._addresses.failed(address)
        if not self.is_known(user, address):
            self._users.failed(user)

    def succeeded(self, user: str, address: str) -> None:
        """Make the address a known one of the user, and forget the failures there."""
        self._pairs.succeeded((user, address))
        self._addresses.succeeded(address)
        known = self._known_addresses.setdefault(user, OrderedDict())
        self._known_addresses.move_to_end(user)
        known[address] = None
        known.move_to_end(address)
        if len(known) > _MAX_KNOWN_ADDRESSES:
            known.popitem(last=False)
        if len(self._known_addresses) > _MAX_USERS:
            self._known_addresses.popitem(last=False)

    def is_known(self, user: str, address: str) -> bool:
        """Return whether the user has logged in from the address before."""
        return address in self._known_addresses.get(user, ())

    def priority(self, user: str, address: str) -> int:
        """Return the priority value of a login in a `FairQueue`, the lowest first.

        A known address has 0; others grow with the failed logins of any user there.
        """
        return 0 if self.is_known(user, address) else 1 + self._addresses.count(address)
