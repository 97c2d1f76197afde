"""Every row of the table of refusals, provoked on the engine at hand.

`DOCKER_HOST` says which engine that is: the versions of docs/refusals.md were seen so.
"""

import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_network

import docker
import pytest

from integration.docker.odd_registry import ODD_REGISTRIES, OddRegistry
from integration.docker.provocations import PROVOCATIONS
from integration.docker.provoking import Provocation
from integration.docker.stage import Stage, on_stage
from proad.drivers.docker import DockerDriver, errors
from proad.drivers.docker.refusals import REFUSALS, REGISTRIES, DockerRefusal, RefusalMeaning, known
from proad.errors import (
    EngineConflictError,
    InvalidArgumentError,
    ProaError,
    RegistryUnreachableError,
)
from proad.model import Device
from proad.rpc.status import code_of
from updating import container_update

pytestmark = pytest.mark.docker


@pytest.fixture
def stage(driver: DockerDriver, raw: docker.APIClient) -> Iterator[Stage]:
    with on_stage(driver, raw) as stage:
        yield stage


@pytest.fixture
def met(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the matched rows, in order."""
    names: list[str] = []

    def spied(
        table: Iterable[DockerRefusal], status: int, text: str
    ) -> Iterator[tuple[DockerRefusal, re.Match[str]]]:
        for row, found in known(table, status, text):
            names.append(row.name)
            yield row, found

    monkeypatch.setattr(errors, "known", spied)
    return names


def check(error: ProaError, meaning: RefusalMeaning) -> None:
    reason, _, aborted = meaning.value.partition(" ")
    assert error.reason == reason
    assert (code_of(error) == 10) == bool(aborted)
    assert (error.retry_after is not None) == (
        meaning in {RefusalMeaning.PASSING, RefusalMeaning.UNREACHABLE}
    )


def fields(error: ProaError) -> list[str]:
    """Return the fields that an error names."""
    violations = error.violations if isinstance(error, InvalidArgumentError) else ()
    return [each.field for each in violations]


@pytest.mark.parametrize("provoked", PROVOCATIONS, ids=lambda each: f"{each.row}: {each.call}")
async def test_refusal_when_provoked_matches_its_row(
    stage: Stage, met: list[str], provoked: Provocation
):
    with pytest.raises(ProaError) as caught:
        await provoked.act(stage)
    row = next(each for each in REFUSALS if each.name == provoked.row)
    assert met[-1] == row.name
    check(caught.value, row.meaning)
    assert fields(caught.value) == [provoked.field][: bool(provoked.field)]
    assert stage.left() == set()


@pytest.mark.parametrize("odd", ODD_REGISTRIES, ids=lambda each: each.row)
async def test_registry_refusal_when_provoked_matches_its_row(
    stage: Stage, met: list[str], odd: OddRegistry
):
    (network, *_) = stage.raw.inspect_network("bridge")["IPAM"]["Config"]
    bridge = next(ip_network(network["Subnet"]).hosts())
    with odd.serve(str(bridge)) as registry, pytest.raises(ProaError) as caught:
        await stage.pull(f"{registry}/{odd.name}:1", odd.platform)
    row = next(each for each in REGISTRIES if each.name == odd.row)
    assert row.name in met
    check(caught.value, row.meaning)
    assert row.name in caught.value.message
    assert fields(caught.value) == [odd.field][: bool(odd.field)]
    assert odd.secret not in str([caught.value.message, caught.value.metadata])
    if isinstance(caught.value, RegistryUnreachableError):
        assert caught.value.metadata == {"registry": registry}


async def test_start_of_invalid_container_names_remedy(stage: Stage):
    device = Device(host_path="/dev/none")
    made = await stage.driver.create_container(stage.spec(devices=(device,)))
    with pytest.raises(EngineConflictError) as caught:
        await stage.driver.start(made.resource.id)
    check(caught.value, RefusalMeaning.CONFLICT)
    assert caught.value.message.endswith(
        "; it was made with that: put right what it needs, or create it anew without"
    )
    assert "/dev/none" in caught.value.metadata["engine_message"]


def test_update_refused_for_unchanged_field_names_no_field():
    """The engine complains about the CPUs, which the request did not change."""
    text = "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"
    error = errors.refused(400, text, container_update(pids_limit=7))
    check(error, RefusalMeaning.CONFLICT)


def test_refusals_table_has_provocation_per_row():
    assert {each.row for each in PROVOCATIONS} == {row.name for row in REFUSALS if row.seen}
    assert {each.row for each in ODD_REGISTRIES} | {REFUSALS[0].name} == {
        row.name for row in REGISTRIES
    }
