"""What a profile allows of containers.

Each rule is a function of a specification and a profile that yields violations, in a module of
this package by what the rule is about; `judge` asks them all. Fields are paths in ContainerSpec,
such as "mounts[0].bind": the caller of `judge` puts the name of the request's field before them.
"""

from proad.policy.containers.judgement import judge, judge_live, with_defaults

__all__ = ["judge", "judge_live", "with_defaults"]
