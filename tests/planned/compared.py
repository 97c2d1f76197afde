"""Many cases, one after the other, on what they are about."""

import random
from collections import Counter

import proa
from free_port import free_port
from planned.cases import Cases
from planned.containers import Containers, busy_port
from planned.domains import Domains
from planned.trial import Trials

POLICY = """[policy.profiles.default]
quota_memory_bytes = 536870912
quota_default_memory_bytes = 67108864
"""
"""The default policy, and a quota that some cases exceed."""


def compare_containers(client: proa.Client, prefix: str, count: int, seed: int) -> Counter[str]:
    """Try so many cases about containers; return how often they ended how."""
    with busy_port() as busy:
        cases = Containers(random.Random(seed), prefix, busy, free_port())
        return _compared(client, cases, count)


def compare_domains(client: proa.Client, prefix: str, count: int, seed: int) -> Counter[str]:
    """Try so many cases about domains; return how often they ended how."""
    return _compared(client, Domains(random.Random(seed), prefix), count)


def _compared(client: proa.Client, cases: Cases, count: int) -> Counter[str]:
    trials = Trials(client, cases.prefix)
    for request in cases.setting():
        trials.call(type(request).__name__.removesuffix("Request"))(request)
    for _ in range(count):
        case = cases.case()
        trials.run(case)
        cases.restore(trials, case)
    return trials.ended
