"""Errors of authentication and authorization."""

from collections.abc import Sequence
from datetime import timedelta
from math import ceil

from proad.errors.root import ProaError, Reason


class TokenMissingError(ProaError):
    """The call carries no token."""

    reason = Reason.TOKEN_MISSING

    def __init__(self) -> None:
        super().__init__(
            "this call needs a token; get one from AuthService/CreateToken "
            "and send it as 'authorization: Bearer TOKEN'"
        )


class TokenInvalidError(ProaError):
    """The token is not one of this daemon's, or the user was removed, disabled or changed."""

    reason = Reason.TOKEN_INVALID

    def __init__(self) -> None:
        super().__init__("the token is not valid here; get a new one from AuthService/CreateToken")


class TokenExpiredError(ProaError):
    """The token expired."""

    reason = Reason.TOKEN_EXPIRED

    def __init__(self) -> None:
        super().__init__("the token has expired; get a new one from AuthService/CreateToken")


class TokenRevokedError(ProaError):
    """The token was revoked."""

    reason = Reason.TOKEN_REVOKED

    def __init__(self) -> None:
        super().__init__("the token was revoked; get a new one from AuthService/CreateToken")


class CertificateInvalidError(ProaError):
    """The client certificate expired or was revoked, or its user was removed or disabled."""

    reason = Reason.TOKEN_INVALID

    def __init__(self) -> None:
        super().__init__(
            "the client certificate of this connection is not valid here, or not any more; "
            "connect with another one, or send a token from AuthService/CreateToken"
        )


class BadCredentialsError(ProaError):
    """Username or password is wrong. The message is the same in every case."""

    reason = Reason.BAD_CREDENTIALS

    def __init__(self) -> None:
        super().__init__("user name or password is wrong; 'proad user' on the host manages users")


class BadServiceKeyError(ProaError):
    """The service key is none, has expired, or its user is disabled. One message for every case."""

    reason = Reason.BAD_CREDENTIALS

    def __init__(self) -> None:
        super().__init__("the service key is not valid; 'proad key' on the host manages keys")


class NotMappedError(ProaError):
    """A user of this host stands for nobody, or for a user who is disabled. One message for all."""

    reason = Reason.BAD_CREDENTIALS

    def __init__(self, uid: int) -> None:
        super().__init__(
            f"the user id {uid} of the host stands for no user: no [[local_user]] in the daemon's "
            "settings fits, or its user was removed or disabled; log in with a password"
        )


class TooManyAttemptsError(ProaError):
    """Too many failed logins."""

    reason = Reason.TOO_MANY_ATTEMPTS

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__(
            f"too many failed logins; try again in {ceil(retry_after.total_seconds())} s",
            retry_after=retry_after,
        )


class TooManyLoginsError(ProaError):
    """The queue of logins is full."""

    reason = Reason.TOO_MANY_ATTEMPTS

    def __init__(self) -> None:
        retry_after = timedelta(seconds=1)
        super().__init__(
            "too many logins at once; try again in "
            f"{retry_after.total_seconds():.0f} s, or keep tokens for as long as they are good",
            retry_after=retry_after,
        )


class TooManyStreamsError(ProaError):
    """A peer has the maximum number of open public streams."""

    reason = Reason.TOO_MANY_STREAMS

    def __init__(self, most: int) -> None:
        super().__init__(
            f"this peer has {most} streams of health and reflection open, which is the most; "
            "end one of them first"
        )


class UserLimitError(ProaError):
    """One user has more under way than the daemon takes of one; nothing was done.

    Args:
        most: the most of it.
        setting: the setting that says how much.
        retry_after: when the same call may succeed.
    """

    reason = Reason.TOO_MANY_CALLS

    def __init__(self, most: str, setting: str, retry_after: timedelta) -> None:
        super().__init__(
            f"this user has {most}, which is the most (the setting {setting}); "
            f"try again in {retry_after.total_seconds():.3g} s",
            retry_after=retry_after,
            metadata={"setting": setting},
        )


class ReaderTooSlowError(ProaError):
    """The caller of a stream does not read what comes."""

    reason = Reason.READER_TOO_SLOW

    def __init__(
        self,
        text: str = "what is written was not read for too long, and is lost from here on; the "
        "resource goes on: attach again, and read faster",
    ) -> None:
        super().__init__(text)


class TooManyCallsError(ProaError):
    """The queue of requests to be read is full for a peer or a user."""

    reason = Reason.TOO_MANY_STREAMS

    def __init__(self) -> None:
        super().__init__(
            "too many calls at once, whose request messages have not come; "
            "send each as a whole, and fewer at a time",
            retry_after=timedelta(seconds=1),
        )


class ScopeMissingError(ProaError):
    """The token, or at a login the user, lacks a scope."""

    reason = Reason.SCOPE_MISSING

    def __init__(self, required: str, held: Sequence[str]) -> None:
        have = ", ".join(held) or "none"
        super().__init__(
            f"this needs the scope '{required}', you have: {have}; "
            "log in with it, or have it granted with 'proad user scopes'",
            metadata={"required_scope": required, "scopes": " ".join(held)},
        )


class AccessMissingError(ProaError):
    """A token was asked for with a wider access than the user, or the service key, has."""

    reason = Reason.ACCESS_MISSING

    def __init__(self, wanted: str, held: str) -> None:
        super().__init__(
            f"the access '{wanted}' was asked for, you have '{held}'; ask for no more than that, or "
            "have it given with 'proad user set-access'",
            metadata={"wanted_access": wanted, "access": held},
        )
