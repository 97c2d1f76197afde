"""What changes announce to the request on whose behalf they are made."""

import pytest

from proad.core.requests import announce_to
from proad.errors import DatabaseUnreachableError, ResourceAlreadyRunningError
from proad.model import Action, Intent, ResourceState, Verb
from unit.core.inventory.scripted import becomes

S = ResourceState


@pytest.fixture
def heard():
    """The intents that the current test's task announces."""
    intents = []

    async def hear(intent, written):
        await written()
        intents.append(intent)

    announce_to(hear)
    return intents


@pytest.mark.parametrize("verb", Verb)
def test_action_has_each_verb(verb):
    assert Action(verb) == verb


async def test_verb_legal_announces_resource_and_wanted_state(engine, verbs, heard, resolved):
    await verbs.transition(Verb.PAUSE, resolved, becomes(engine, S.PAUSED))

    assert heard == [
        Intent(
            action=Action.PAUSE,
            host="local",
            driver="scripted",
            id="1",
            path="local/container/1",
            wanted=S.PAUSED,
        )
    ]


async def test_verb_illegal_announces_nothing(engine, verbs, heard, resolved):
    with pytest.raises(ResourceAlreadyRunningError):
        await verbs.transition(Verb.START, resolved, becomes(engine, S.RUNNING))

    assert not heard


async def test_verb_announcement_fails_changes_nothing(engine, verbs, inventory, resolved):
    async def fail(intent, _written):
        raise DatabaseUnreachableError

    announce_to(fail)
    before = inventory.history.revision

    with pytest.raises(DatabaseUnreachableError):
        await verbs.transition(Verb.PAUSE, resolved, becomes(engine, S.PAUSED))

    assert engine.there["1"].state is S.RUNNING
    assert inventory.history.revision == before
