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
        renewal_check: how often a stream of requests asks for another token, where the source tells
            no time of its renewal.
        heartbeat: heartbeat interval of the daemon, for a watch that asks for no other.
        first_backoff: upper bound of the random pause before the first reconnect of a watch or a
            wait; each further failure doubles the bound.
        longest_backoff: limit of that bound.
        first_repeat: pause before a call with a request id is repeated whose answer was lost;
            each further failure doubles it.
        longest_repeat: limit of that pause.
        repeat_within: time after the loss of the answer for which the call is repeated.
        wait_margin: how much later than its timeout the deadline of a wait is, so that the
            daemon's answer arrives.
        command_margin: how much later than its timeout the deadline of a command is, so that it
            can begin, and how it ended arrives.
        steady_after: duration of a call after which a failure counts as the first again.
    """

    login_timeout: float = 30.0
    renewal_margin: float = 60.0
    renewal_check: float = 2.0
    heartbeat: float = 15.0
    first_backoff: float = 0.1
    longest_backoff: float = 5.0
    wait_margin: float = 2.0
    command_margin: float = 30.0
    steady_after: float = 10.0
    first_repeat: float = 0.2
    longest_repeat: float = 2.0
    repeat_within: float = 30.0
