"""Durations of the client."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ClientTiming:
    """Durations of a client, in seconds.

    Attributes:
        login_timeout: deadline of a login, if the client has no default deadline: a call
            with a deadline of its own must not wait forever for its token.
        renewal_margin: how long before its expiry a token is renewed, but at most a tenth of
            its lifetime.
        heartbeat: heartbeat interval of the daemon, for a watch that asks for no other.
        first_backoff: upper bound of the random pause before the first reconnect of a watch;
            each further failure doubles the bound.
        longest_backoff: limit of that bound.
        steady_after: duration of a call after which a failure counts as the first again.
    """

    login_timeout: float = 30.0
    renewal_margin: float = 60.0
    heartbeat: float = 15.0
    first_backoff: float = 0.1
    longest_backoff: float = 5.0
    steady_after: float = 10.0
