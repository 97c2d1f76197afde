"""Plans against acts, with other cases at each run."""

from planned.compared import compare_containers, compare_domains
from soak.setting import Setting

CASES = 100
"""Of each kind."""


def plans(setting: Setting, cases: int, seed: int) -> str:
    """What a check says of a request is what the request does."""
    with setting.client() as client:
        ended = compare_containers(client, "proa-test-plans-c", cases, seed)
        ended += compare_domains(client, "proa-test-plans-d", cases, seed)
    return f"{2 * cases} requests did what their checks said: {dict(ended.most_common())}"
