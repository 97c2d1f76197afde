"""Errors of quotas."""

from proad.errors.root import ProaError, Reason


class QuotaExceededError(ProaError):
    """The owner of what is made or started would have more than the quota.

    Args:
        quota: what is summed up, such as "memory_bytes".
        wanted: how much the call wants; empty: it wants it without a limit.
        used: how much the owner has.
        limit: the most that the owner may have.
        setting: the setting with the limit; empty: it is the owner's own.
        profile: the caller's profile, which has the setting.
    """

    reason = Reason.QUOTA_EXCEEDED

    def __init__(
        self, quota: str, *, wanted: str, used: str, limit: str, setting: str, profile: str
    ) -> None:
        asks, less = (
            (f"asks for {wanted} more", "ask for less")
            if wanted
            else ("is without a limit", "give it one")
        )
        room = "stop or delete" if quota == "running" else "delete"
        way = (
            f"have the setting {setting} of the profile {profile!r} raised"
            if setting
            else "have it raised with 'proad quota set'"
        )
        super().__init__(
            f"the quota of {quota} is {limit}, of which {used} are used, and this {asks}; "
            f"{room} something, {less}, or {way}",
            metadata={
                "quota": quota,
                "used": used,
                "limit": limit,
                "setting": setting,
                "profile": profile,
            },
        )
        self.quota = quota
