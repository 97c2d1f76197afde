import os
from collections.abc import Generator

import hypothesis
import pytest

# How long an example takes says nothing on a busy machine.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Skip what looks into an engine's own files or processes, where only root may."""
    try:
        return (yield)
    except PermissionError as error:
        engine = item.get_closest_marker("docker") or item.get_closest_marker("libvirt")
        if os.geteuid() == 0 or engine is None:
            raise
        pytest.skip(f"only root may do this to the engine's own: {error}")
