"""Which events are those of our own acts."""

from collections.abc import Callable

import pytest

from proad.drivers.own_events import LATE, OwnEvents

ID, OTHER = "ab" * 32, "cd" * 32


class Stream:
    """A stream of events, what is told of it, and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.own = OwnEvents(lambda: self.now)
        self.told: list[str] = []

    def comes(self, *actions: str, id: str = ID) -> None:
        for action in actions:
            if not self.own.takes(id, action, self._tell(action)):
                self._tell(action)()

    def _tell(self, action: str) -> Callable[[], None]:
        return lambda: self.told.append(action)

    def act(self, action: str, *events: str, done: bool = True) -> None:
        """Do something; the events come while the call is under way."""
        with self.own.expected(ID, action) as act:
            self.own.begin(act)
            self.comes(*events)
            act.done = done


@pytest.fixture
def stream() -> Stream:
    return Stream()


def test_an_event_before_the_answer(stream: Stream):
    stream.act("pause", "pause")
    assert stream.told == []


def test_an_event_after_the_answer(stream: Stream):
    stream.act("pause")
    stream.now += LATE
    stream.comes("pause")
    assert stream.told == []


def test_an_event_long_after_the_answer_is_news(stream: Stream):
    stream.act("pause")
    stream.now += LATE + 0.1
    stream.comes("pause")
    assert stream.told == ["pause"]


def test_a_call_may_take_long(stream: Stream):
    with stream.own.expected(ID, "pause") as act:
        stream.own.begin(act)
        stream.now += 100 * LATE
        stream.comes("pause")
        act.done = True
    assert stream.told == []


@pytest.mark.parametrize("before", [True, False])
def test_one_event_for_each_act(stream: Stream, *, before: bool):
    stream.act("pause", *["pause"] * before)
    stream.comes(*["pause"] * (not before))
    stream.comes("pause")
    assert stream.told == ["pause"]


def test_what_fails_was_not_ours(stream: Stream):
    stream.act("pause", "pause", done=False)
    assert stream.told == ["pause"]
    stream.comes("pause")
    assert stream.told == ["pause"] * 2


def test_what_comes_while_it_is_under_way_is_not_told_yet(stream: Stream):
    with stream.own.expected(ID, "pause") as act:
        stream.own.begin(act)
        stream.comes("pause")
        assert stream.told == []
    assert stream.told == ["pause"]


def test_what_comes_before_it_begins_is_not_its_own(stream: Stream):
    """Its turn may be long in coming."""
    with stream.own.expected(ID, "pause") as act:
        stream.comes("pause", "unpause", "pause")
        assert stream.told == ["pause", "unpause", "pause"]
        stream.own.begin(act)
        act.done = True
    stream.comes("pause")
    assert stream.told == ["pause", "unpause", "pause"]


def test_one_that_begins_when_its_caller_has_gone(stream: Stream):
    with stream.own.expected(ID, "pause") as act:
        pass
    stream.own.begin(act)
    stream.comes("pause")
    assert stream.told == ["pause"]


def test_a_call_without_an_answer(stream: Stream):
    def late() -> None:
        with stream.own.expected(ID, "pause") as act:
            stream.own.begin(act)
            stream.comes("pause")
            raise TimeoutError

    with pytest.raises(TimeoutError):
        late()
    assert stream.told == ["pause"]
    stream.comes("pause")
    assert stream.told == ["pause"] * 2


@pytest.mark.parametrize("action", ["unpause", "die", "rename", "connect"])
def test_anything_else_ends_the_waiting(stream: Stream, action: str):
    stream.act("pause")
    stream.comes(action, "pause")
    assert stream.told == [action, "pause"]


@pytest.mark.parametrize("done", [True, False])
def test_anything_else_while_the_call_is_under_way(stream: Stream, *, done: bool):
    """Such as a pause and a resume by somebody else, and then ours."""
    stream.act("pause", "pause", "unpause", "pause", done=done)
    assert stream.told == ["pause", "unpause", "pause"]


def test_an_act_undone_by_somebody_else_is_told(stream: Stream):
    stream.act("pause", "pause", "unpause")
    assert stream.told == ["pause", "unpause"]


def test_events_of_other_containers_are_news(stream: Stream):
    with stream.own.expected(ID, "pause") as act:
        stream.own.begin(act)
        stream.comes("pause", id=OTHER)
        stream.comes("pause")
        act.done = True
    assert stream.told == ["pause"]


def test_late_events_of_several_acts(stream: Stream):
    stream.act("pause")
    stream.act("unpause", "pause", "unpause")
    stream.act("pause")
    stream.act("unpause")
    stream.comes("pause", "unpause")
    assert stream.told == []
    stream.comes("unpause")
    assert stream.told == ["unpause"]


def test_a_loss_ends_all_waiting(stream: Stream):
    stream.act("pause")
    with stream.own.expected(ID, "unpause") as act:
        stream.own.begin(act)
        stream.comes("pause", "unpause")
        stream.own.void()
        act.done = True
    assert stream.told == ["unpause"]
    stream.comes("unpause")
    assert stream.told == ["unpause"] * 2
    stream.act("pause")
    stream.own.void()
    stream.comes("pause")
    assert stream.told[2:] == ["pause"]


def test_nothing_is_kept_of_acts_without_events(stream: Stream):
    for _ in range(100):
        stream.act("pause")
        stream.now += 2 * LATE
    assert len(stream.own._expected) <= 1
