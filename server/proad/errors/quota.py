"""Errors of quotas."""

from proad.errors.root import ProaError, Reason


class QuotaExceededError(ProaError):
    """The owner of what is made or started would have more than the quota.

    Args:
        quota: what is summed up, such as "memory_bytes".
        wanted: how much the call wants; empty: it wants it without a limit.
        used: how much the owner has.
        limit: the most that the owner may have.
        setting: the setting with the limit.
    """

    reason = Reason.QUOTA_EXCEEDED

    def __init__(self, quota: str, *, wanted: str, used: str, limit: str, setting: str) -> None:
        asks = f"{wanted} more" if wanted else "no limit"
        super().__init__(
            f"the quota of {quota} is {limit}, of which {used} are used, and this asks for {asks}; "
            f"delete or stop something, ask for less, or have the setting {setting} raised",
            metadata={"quota": quota, "used": used, "limit": limit, "setting": setting},
        )
        self.quota = quota
