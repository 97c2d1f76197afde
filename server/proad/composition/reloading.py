"""What a reload changes while the daemon runs."""

from proad.auth.service import Authenticator
from proad.config import Settings
from proad.core.gate import PolicyGate
from proad.reload import ReloadableSettings, Reloader
from proad.rpc.tls_credentials import TlsCredentials
from proad.rpc.user_limiter import UserLimiter, UserLimits


def add_reloadables(
    reloader: Reloader,
    tls: TlsCredentials,
    authenticator: Authenticator,
    gate: PolicyGate,
    users: UserLimiter,
) -> None:
    """Let the components whose settings may change take part in reloads."""
    reloader.add(tls)
    reloader.add(authenticator.certificates)
    reloader.add(authenticator.local_users)
    reloader.add(
        ReloadableSettings(
            *("policy", "allowed_registries"), take_over=lambda each: gate.use(each.policy)
        )
    )
    reloader.add(
        ReloadableSettings(
            *("user_calls_per_second", "user_concurrent_calls"),
            *("user_unread_bytes", "user_request_streams"),
            take_over=lambda each: users.use(user_limits(each)),
        )
    )


def user_limits(settings: Settings) -> UserLimits:
    """Return how much one user may ask of the daemon."""
    return UserLimits(
        calls_per_second=settings.user_calls_per_second,
        concurrent_calls=settings.user_concurrent_calls,
        unread_bytes=settings.user_unread_bytes,
        request_streams=settings.user_request_streams,
    )
