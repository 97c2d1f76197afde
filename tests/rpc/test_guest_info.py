"""What resources say of themselves, in FULL views of GetResource."""

import asyncio
import time
from dataclasses import replace

import pytest

from eventually import eventually
from proa import v1
from proad.errors import CapabilityMissingError, EngineTimedOutError
from proad.model import GuestInfo
from proad.model.scope import Scope
from rpc.daemon import RPCS


async def shown(daemon, id="vm", **fields):
    return (await daemon.call("GetResource", id=id, **fields)).resource


async def told(daemon, id="vm"):
    return (await shown(daemon, id)).guest_info


class Agent:
    """Answers in place of the agents of all domains of a daemon."""

    def __init__(self, driver, answer=None):
        self.answer = answer
        self.asked = []
        self.may = asyncio.Event()
        self.may.set()
        driver.ask_guest = self._ask

    async def _ask(self, id):
        self.asked.append(id)
        await self.may.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or GuestInfo(hostname=f"guest-{len(self.asked)}", agent_answered=True)


async def test_domain_tells_what_its_agent_says(daemon):
    made = await daemon.domain("vm")
    info = await told(daemon)
    assert (info.hostname, info.operating_system.id) == ("vm", "imitation")
    assert info.agent_answered
    assert info.user_count == len(info.users) == 1
    (interface,), (card,) = info.interfaces, (await shown(daemon)).domain.networks
    assert (interface.name, interface.mac_address) == ("eth0", card.mac_address)
    assert [*interface.addresses] == [*card.addresses]
    assert info.observe_time.ToSeconds() >= made.create_time.ToSeconds()


async def test_container_tells_what_its_engine_set_up(daemon):
    await daemon.container("web")
    resource = await shown(daemon, "web")
    info = resource.guest_info
    assert info.hostname == resource.container.hostname
    assert [*info.interfaces[0].addresses] == [resource.container.networks[0].ipv4_address]
    for field in ("operating_system", "user_count", "agent_answered", "observe_time"):
        assert not info.HasField(field)
    await daemon.call("PauseResource", id="web")
    assert (await told(daemon, "web")).hostname
    await daemon.call("StopResource", id="web")
    assert not (await shown(daemon, "web")).HasField("guest_info")


async def test_domain_without_an_agent_tells_its_leases(daemon):
    await daemon.domain("vm", guest_agent=False)
    agent = Agent(daemon.driver)
    resource = await shown(daemon)
    info = resource.guest_info
    assert [*info.interfaces[0].addresses] == [*resource.domain.networks[0].addresses] != []
    assert info.interfaces[0].mac_address == resource.domain.networks[0].mac_address
    assert info.hostname == ""
    assert not info.HasField("agent_answered")
    assert agent.asked == []


async def test_domain_that_does_not_run_tells_nothing(daemon):
    await daemon.domain("vm", start=False)
    assert not (await shown(daemon)).HasField("guest_info")


async def test_no_other_view_has_it_or_asks_for_it(daemon):
    await daemon.domain("vm")
    agent = Agent(daemon.driver)
    assert not (await shown(daemon, view="RESOURCE_VIEW_SUMMARY")).HasField("guest_info")
    for view in ("RESOURCE_VIEW_SUMMARY", "RESOURCE_VIEW_FULL"):
        (listed,) = (await daemon.call("ListResources", view=view)).resources
        assert not listed.HasField("guest_info")
    assert agent.asked == []
    assert (await told(daemon)).hostname == "guest-1"
    (listed,) = (await daemon.call("ListResources", view="RESOURCE_VIEW_FULL")).resources
    assert not listed.HasField("guest_info")


async def test_caller_who_may_only_read_sees_it(daemon):
    await daemon.domain("vm")
    rpc = RPCS["GetResource"]
    seen = await daemon.send(rpc, rpc.request(id="vm"), token=daemon.token(Scope.BASIC))
    assert seen.resource.guest_info.hostname == "vm"
    mask = {"paths": ["guest_info.hostname"]}
    masked = await shown(daemon, read_mask=mask)
    assert masked == v1.Resource(guest_info=v1.GuestInfo(hostname="vm"))


async def test_agent_is_asked_once_a_minute_and_anew_in_each_run(daemon):
    await daemon.domain("vm")
    await daemon.domain("other")
    agent = Agent(daemon.driver)
    for _ in range(5):
        assert (await told(daemon)).hostname == "guest-1"
    await asyncio.gather(*(told(daemon, "other") for _ in range(5)))
    assert len(agent.asked) == 2
    await daemon.call("StopResource", id="vm", mode="STOP_MODE_FORCE")
    assert not (await shown(daemon)).HasField("guest_info")
    await daemon.call("StartResource", id="vm")
    assert (await told(daemon)).hostname == "guest-3"


async def test_paused_domain_tells_what_it_said(daemon):
    await daemon.domain("vm")
    await daemon.domain("silent")
    agent = Agent(daemon.driver)
    assert (await told(daemon)).hostname == "guest-1"
    for name in ("vm", "silent"):
        await daemon.call("PauseResource", id=name)
    assert (await told(daemon)).hostname == "guest-1"
    assert (await told(daemon, "silent")).hostname == ""
    assert len(agent.asked) == 1


async def test_agent_that_hangs_delays_the_first_view_a_little_and_no_other(daemon):
    await daemon.domain("vm")
    await daemon.domain("other")
    agent = Agent(daemon.driver)
    agent.may.clear()
    begin = time.monotonic()
    assert (await told(daemon)).hostname == ""
    assert time.monotonic() - begin < 10  # it hangs for ever
    first = len(agent.asked)
    for _ in range(20):
        assert (await told(daemon)).hostname == ""
    assert len(agent.asked) == first == 1
    agent.may.set()

    async def said():
        return (await told(daemon)).hostname == "guest-1"

    await eventually(said)
    assert (await told(daemon, "other")).hostname == "guest-2"


@pytest.mark.parametrize(
    "failure",
    [
        EngineTimedOutError("memory"),
        CapabilityMissingError("an agent", driver="memory"),
        KeyError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_agent_that_fails_spoils_no_view(daemon, failure):
    await daemon.domain("vm")
    agent = Agent(daemon.driver, failure)
    for _ in range(3):
        info = await told(daemon)
        assert (info.hostname, info.HasField("agent_answered")) == ("", False)
        assert info.interfaces[0].addresses
    assert len(agent.asked) == 1


async def test_what_a_guest_says_is_no_change(daemon):
    await daemon.domain("vm")
    summary = await shown(daemon, view="RESOURCE_VIEW_SUMMARY")
    before = await daemon.call("ListResources", view="RESOURCE_VIEW_FULL")
    Agent(daemon.driver)
    after = await shown(daemon)
    assert after.guest_info.hostname == "guest-1"
    assert (after.etag, after.revision) == (summary.etag, summary.revision)
    # Its revision counts the events of all watches; of what the views have, the tokens are new.
    listed = await daemon.call("ListResources", view="RESOURCE_VIEW_FULL")
    assert (listed.revision, listed.resources) == (before.revision, before.resources)


async def test_lying_agent_says_as_much_as_the_contract_allows(daemon):
    await daemon.domain("vm")
    liar = GuestInfo(hostname="\x1b[2J" + "x" * 10**6, agent_answered=True)
    agent = Agent(daemon.driver, replace(liar, user_count=2**80))
    info = await told(daemon)
    assert len(info.hostname) == 255
    assert "\x1b" not in info.hostname
    assert info.user_count == 2**31 - 1
    assert info.shortened
    assert len(agent.asked) == 1
