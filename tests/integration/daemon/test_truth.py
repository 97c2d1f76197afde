"""Watches, lists and engines agree in the end, whatever happens.

The short forms of what `make soak` does at full size.
"""

from collections.abc import Callable, Iterator

import pytest

from integration.daemon.conftest import Daemon
from soak import endurance, external_changes, frozen, lists_and_watches, races, slow, tokens
from soak.setting import Setting, private_setting

Start = Callable[..., Daemon]
SEED = 3


@pytest.fixture(scope="module")
def setting() -> Iterator[Setting]:
    with private_setting() as setting:
        yield setting


@pytest.mark.docker
@pytest.mark.libvirt
def test_truth_external_changes_while_engines_restart_are_complete(setting: Setting):
    external_changes.external_changes(setting, external_changes.SHORT, SEED)


@pytest.mark.docker
@pytest.mark.libvirt
def test_truth_lists_and_watches_from_their_tokens_miss_nothing(setting: Setting):
    lists_and_watches.lists_and_watches(setting, lists_and_watches.SHORT, SEED)


@pytest.mark.docker
@pytest.mark.libvirt
def test_truth_watches_read_late_have_the_latest_state(setting: Setting):
    slow.slow(setting, slow.SHORT, SEED)


@pytest.mark.docker
@pytest.mark.libvirt
@pytest.mark.parametrize(
    "hang",
    [frozen.frozen_dockerd, frozen.frozen_libvirtd, frozen.frozen_container],
    ids=lambda hang: hang.__name__,
)
def test_truth_part_that_hangs_delays_nothing_else(
    setting: Setting, hang: Callable[[Setting, frozen.Plan, int], str]
):
    hang(setting, frozen.SHORT, SEED)


@pytest.mark.docker
@pytest.mark.libvirt
def test_truth_answers_to_racing_calls_fit_a_serial_order(setting: Setting):
    races.races(setting, races.SHORT, SEED)


def test_truth_resume_tokens_lose_and_repeat_nothing(start_daemon: Start):
    daemon = start_daemon("--memory")
    tokens.tokens(daemon, tokens.by_calls(daemon), changes=300, seed=SEED)


def test_truth_watches_that_end_in_every_way_harm_nobody(start_daemon: Start):
    endurance.endurance(start_daemon("--memory"), endurance.SHORT, SEED)
