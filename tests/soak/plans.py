"""Plans against acts, with other cases at each run."""

import proa
from planned.compared import compare_containers, compare_domains
from proa import v1
from soak.setting import listed, wait_through_outages

CASES = 100
"""Of each kind."""


def plans(client: proa.Client, prefix: str, cases: int, seed: int) -> str:
    """What a check says of a request is what the request does.

    Args:
        client: of a daemon over engines that have networks.
        prefix: of all names that are given.
        cases: of each kind.
        seed: of the cases.
    """
    wait_through_outages(lambda: listed(client) is not None, "both engines are served")
    try:
        ended = compare_containers(client, f"{prefix}-c", cases, seed)
        ended += compare_domains(client, f"{prefix}-d", cases, seed)
    finally:
        for id in listed(client, v1.ResourceFilter(name_prefix=prefix)):
            client.resources.DeleteResource(
                v1.DeleteResourceRequest(
                    id=id, force=True, delete_snapshots=True, delete_saved_state=True
                )
            )
    return f"{2 * cases} requests did what their checks said: {dict(ended.most_common())}"
