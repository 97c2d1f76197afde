"""Plans against acts: on real engines, what a check says of a request is what the request does."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest

import proa
from integration.daemon.conftest import Daemon
from planned.compared import POLICY, compare_containers, compare_domains

CONTAINERS, DOMAINS = 110, 90
SEED = 20261126


@pytest.fixture
def client(start_daemon: Callable[..., Daemon], tmp_path: Path, swept) -> proa.Client:
    """A client of a daemon with a policy of its own."""
    config = tmp_path / "proa.toml"
    config.write_text(POLICY)
    client = start_daemon(PROA_CONFIG=str(config)).client()
    swept(client)
    return client


def check_variety(ended: Counter[str], count: int) -> None:
    """Check that the cases were worth it: enough of each sort."""
    assert sum(ended.values()) == count
    done = sum(n for how, n in ended.items() if how.endswith(" done"))
    foreseen = sum(n for how, n in ended.items() if how.startswith("foreseen"))
    assert min(done, foreseen) >= count / 5, ended
    assert len(ended) >= 10, ended


@pytest.fixture
def engine(token: str) -> Iterator[docker.APIClient]:
    """Docker itself, without the volumes of the cases once their containers are gone."""
    with closing(docker.APIClient()) as engine:
        yield engine
        for volume in engine.volumes(filters={"name": token})["Volumes"] or []:
            engine.remove_volume(volume["Name"])


# The client comes after the engine, so that its containers go before their volumes.
@pytest.mark.docker
def test_plans_of_containers_are_what_is_done(
    engine: docker.APIClient, client: proa.Client, token: str
):
    ended = compare_containers(client, token, CONTAINERS, SEED)

    check_variety(ended, CONTAINERS)
    found = engine.containers(all=True, filters={"name": token})
    assert {name for each in found for name in each["Names"]} == {
        f"/{token}-{name}" for name in ("a", "b", "taken")
    }


@pytest.mark.libvirt
def test_plans_of_domains_are_what_is_done(client: proa.Client, token: str):
    check_variety(compare_domains(client, token, DOMAINS, SEED), DOMAINS)
