"""What a profile allows of domains.

Each rule is a function that yields violations, in a module of this package by what the rule is
about. Fields of a typed specification are paths in DomainSpec; those of XML are XPaths.
"""

from proad.policy.domains.judgement import judge, judge_live, judge_snapshots, judge_volume
from proad.policy.domains.networks import with_defaults

__all__ = ["judge", "judge_live", "judge_snapshots", "judge_volume", "with_defaults"]
