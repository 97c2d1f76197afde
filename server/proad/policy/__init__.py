"""What callers may ask of the host: pure functions from a request and a profile to violations.

`core.gate` is the only caller. Rules stand in `policy.containers` and `policy.domains`; each of
them names the setting of `Profile` that relaxes it.
"""

from proad.errors import Violation
from proad.policy.bounds import Foreign
from proad.policy.profile import SHIPPED, Policy, Profile, ProfileName

__all__ = ["SHIPPED", "Foreign", "Policy", "Profile", "ProfileName", "Violation"]
