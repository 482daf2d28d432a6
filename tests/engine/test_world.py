"""What an action sees of its session while it runs."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from random import Random
from typing import Any

from pydantic import BaseModel

from engine import World, action
from engine.dispatch import Dispatcher
from engine.operations import Call
from engine.types import Principal

ANN = Principal("test", "ann", "Ann")


class Mood(StrEnum):
    CALM = "calm"
    LOUD = "loud"


class Diary(BaseModel):
    pages: list[str] = []
    names: dict[str, int] = {}


class Mirror(World, states=Mood, start=Mood.CALM, rows=[]):
    """Shows an action what it is given."""

    data: Diary

    def start(self, first: str = "begun") -> str:
        """Begin with a page."""
        self.data.pages.append(first)
        return first

    @action(source=Mood.CALM, target=[Mood.LOUD, Mood.CALM])
    def look(self, loud: bool = False) -> dict[str, Any]:
        """Give what is seen."""
        if not loud:
            self.enter(Mood.CALM)
        return {
            "session": self.session,
            "revision": self.revision,
            "state": self.state,
            "enum": isinstance(self.state, Mood),
            "who": self.principal.name,
            "now": [self.now, self.now],
            "dice": self.random.randint(1, 10**9),
        }

    @action
    def note(self, name: str) -> int:
        """Count a name."""
        self.data.names[name] = self.data.names.get(name, 0) + 1
        return self.data.names[name]

    @action(target=Mood.CALM)
    def hush(self) -> None:
        """Calm down."""


def go(dispatcher: Dispatcher, action: str, **arguments: Any) -> Any:
    return dispatcher.dispatch(Call(principal=ANN, world="mirror", action=action, arguments=arguments))


def test_action_sees_session_revision_state_and_principal(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Mirror)
    outcome = go(dispatcher, "look")
    seen = outcome.value
    assert (seen["session"], seen["revision"], seen["state"]) == (outcome.session, 1, "calm")
    assert seen["enum"] is True and seen["who"] == "Ann"


def test_action_sees_one_time_and_it_is_the_journals(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Mirror)
    outcome = go(dispatcher, "look")
    first, second = (datetime.fromisoformat(moment) for moment in outcome.value["now"])
    assert first == second == outcome.change.at and first.tzinfo is not None
    assert abs((datetime.now(UTC) - first).total_seconds()) < 60
    assert datetime.fromisoformat(dispatcher.history(ANN, outcome.session)[-1]["at"]) == first


def test_randomness_is_new_for_each_action_and_kept_by_its_seed(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Mirror)
    outcomes = [go(dispatcher, "look") for _ in range(2)]
    with dispatcher.store.snapshot() as transaction:
        record = transaction.session(outcomes[0].session)
        assert record is not None
        seeds = [entry.seed for entry in transaction.entries(record.id)]
    assert seeds[0] is None and seeds[1] != seeds[2]
    assert [Random(seed).randint(1, 10**9) for seed in seeds[1:]] == [outcome.value["dice"] for outcome in outcomes]


def test_method_chooses_among_its_targets(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Mirror)
    assert [go(dispatcher, "look").state, go(dispatcher, "look", loud=True).state] == ["calm", "loud"]
    assert go(dispatcher, "hush").state == "calm"


def test_start_changes_data_and_answers(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Mirror)
    outcome = dispatcher.start(ANN, "mirror", {"first": "hello"}, main=True)
    assert (outcome.value, outcome.revision) == ("hello", 1)
    assert dispatcher.look(ANN, "mirror", None, lambda world: world.data.pages) == ["hello"]


def test_data_changed_in_place_is_kept(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Mirror)
    assert [go(dispatcher, "note", name="x").value for _ in range(3)] == [1, 2, 3]


def test_defaults_of_data_are_not_shared_between_sessions(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Mirror)
    go(dispatcher, "note", name="x")
    other = dispatcher.start(ANN, "mirror").session
    assert dispatcher.look(ANN, "mirror", other, lambda world: world.data.names) == {}
