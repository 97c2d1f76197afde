"""Plans of prunes, however much they would remove."""

from proa import v1
from proad.model import Plan, PlannedRemoval
from proad.rpc.encode import encode

MOST = 5000
CLIENTS_TAKE = 4 * 2**20


def test_plan_of_a_prune_tells_the_first_and_the_sum_of_all():
    removals = [
        PlannedRemoval(
            id=f"{number:064}",
            path=f"{'h' * 255}/container/{number:064}",
            name=f"{number:0200}",
            reclaimed_bytes=2**40,
        )
        for number in range(MOST + 1)
    ]

    plan = Plan.of_prune(removals)

    assert plan.removals == tuple(removals[:MOST])
    assert (plan.removal_count, plan.reclaimed_bytes) == (MOST + 1, (MOST + 1) * 2**40)
    assert encode(v1.Plan, plan).ByteSize() < CLIENTS_TAKE
