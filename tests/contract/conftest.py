import pytest

# The suites are not in files named test_*: without this their asserts would say nothing.
pytest.register_assert_rewrite("contract")

from contract.harness import DriverHarness, legal_moves, verbs_of  # noqa: E402 - after the registration


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test for every state that the driver's workloads can be brought to."""
    harness: type[DriverHarness] | None = getattr(metafunc.cls, "harness_class", None)
    if harness is None:
        return
    if "verb_of_kind" in metafunc.fixturenames:
        metafunc.parametrize("verb_of_kind", verbs_of(harness.kind))
    if "state" in metafunc.fixturenames:
        metafunc.parametrize("state", harness.states)
    if "move" in metafunc.fixturenames:
        moves = legal_moves(harness)
        metafunc.parametrize("move", moves, ids=[f"{verb}-{state}" for verb, state in moves])
