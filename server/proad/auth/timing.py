"""Durations of authentication."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthTiming:
    """Durations of authentication.

    Attributes:
        status_max_age: age up to which the cached status of a token is reused, and hence the
            delay after which a change by another process takes effect.
        poll_interval: time between two polls of the tokens of open streams.
        database_patience: how long the database may be unreachable before open streams end.
        first_pause: pause after the first failed login past the free ones; each further
            failure doubles the pause.
        longest_pause: upper bound of a pause.
        forget_failures_after: time without a failure after which the count starts anew.
        refresh_grace: time after the use of a refresh token in which the use may be repeated.
        jwks_timeout: how long a fetch of an issuer's keys may take.
        jwks_refetch: time between two fetches at least, such as for a key that is unknown.
        jwks_max_age: age from which on the keys are fetched anew.
        clock_step: how far the host's clock may have been set back since a token was issued.
            The expiry of a token has no such tolerance.
    """

    status_max_age: timedelta = timedelta(milliseconds=500)
    poll_interval: timedelta = timedelta(seconds=1)
    database_patience: timedelta = timedelta(seconds=15)
    first_pause: timedelta = timedelta(seconds=1)
    longest_pause: timedelta = timedelta(minutes=1)
    forget_failures_after: timedelta = timedelta(minutes=15)
    refresh_grace: timedelta = timedelta(seconds=30)
    jwks_timeout: timedelta = timedelta(seconds=10)
    jwks_refetch: timedelta = timedelta(minutes=1)
    jwks_max_age: timedelta = timedelta(minutes=15)
    clock_step: timedelta = timedelta(minutes=2)
