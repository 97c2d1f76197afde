"""Requests that take effect once, however often they are repeated.

A change announces its `Intent` to the current request before its first effect; see `announce`.
"""

from proad.core.requests.current import Announce, announce, announce_to

__all__ = ["Announce", "announce", "announce_to"]
