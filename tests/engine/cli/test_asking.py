"""Questions of actions at a terminal, and the call that is dispatched after them."""

import asyncio
import io
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any

import pytest
from prompt_toolkit.completion import Completer
from pydantic import BaseModel, Field
from rich.console import Console

from engine import Asking, Form, Roots, Sample, World, action
from engine.asking import Answer, Question, confirmed
from engine.cli.terminal import TerminalAsking
from engine.dispatch import Call, Dispatcher
from engine.errors import CannotAsk, Conflict, Refused
from engine.preparing import prepared_call
from engine.types import LOCAL
from tests.conftest import Database


@pytest.fixture
def database() -> Database:
    """What is tested here is the same on every database."""
    return "sqlite"


class Typed:
    """A person who types these lines, then leaves."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.questions: list[str] = []

    def line(self, prompt: str, completer: Completer) -> str:
        """Never asked here."""
        raise EOFError

    async def answer(self, question: str, words: list[str]) -> str:
        """The next line."""
        self.questions.append(question)
        found = next(self._lines, None)
        if found is None:
            raise EOFError
        return found


def asking(*lines: str) -> tuple[TerminalAsking, Typed, io.StringIO]:
    """An asking whose person types these lines; what was asked, and what was printed."""
    typed, printed = Typed(lines), io.StringIO()
    return TerminalAsking(typed, Console(file=printed, width=200)), typed, printed


def put(*lines: str, question: Question) -> Answer:
    """The answer to one question."""
    return asyncio.run(asking(*lines)[0].ask(it=question))["it"]


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Order(BaseModel):
    street: str = Field(min_length=3, description="Street and number")
    floor: int = 0
    colour: Colour = Colour.RED
    gift: bool = False
    note: str | None = None


def test_a_form_is_asked_field_by_field() -> None:
    answer = put("Main 5", "2", "blue", "yes", "soon", question=Form("Where?", Order))
    assert answer == Answer("accept", Order(street="Main 5", floor=2, colour=Colour.BLUE, gift=True, note="soon"))


def test_fields_left_empty_keep_their_defaults() -> None:
    assert put("Main 5", "", "", "", "", question=Form("Where?", Order)).value == Order(street="Main 5")


def test_what_is_asked_names_choices_and_defaults() -> None:
    person, typed, printed = asking("Main 5", "", "", "", "")
    asyncio.run(person.ask(it=Form("Where to?", Order)))
    assert "Where to?" in printed.getvalue()
    assert typed.questions == [
        "Street and number: ",
        "Floor [0]: ",
        "Colour (red/blue) [red]: ",
        "Gift (yes/no) [no]: ",
        "Note [leave empty]: ",
    ]


def test_what_does_not_fit_is_asked_again() -> None:
    answer = put("ab", "high", "3", "green", "red", "perhaps", "no", "", "Main 5", question=Form("Where?", Order))
    assert answer.value == Order(street="Main 5", floor=3)


def test_a_form_by_schema_is_answered_as_json() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "s": {"type": "string"}}, "required": ["n"]}
    assert put("4", "", question=Form("?", schema)).value == {"n": 4}


def test_leaving_cancels_and_the_rest_is_not_asked() -> None:
    person, typed, _ = asking("Main 5")
    answers = asyncio.run(person.ask(first=Form("?", Order), second=Form("?", Order)))
    assert [answer.action for answer in answers.values()] == ["cancel", "cancel"]
    assert len(typed.questions) == 2


@pytest.mark.parametrize(("typed", "passes"), [("y", True), ("YES", True), ("", False), ("n", False), ("maybe", False)])
def test_only_a_typed_yes_confirms(typed: str, passes: bool) -> None:
    person, _, printed = asking(typed)
    if passes:
        asyncio.run(confirmed(person, "Burn it?"))
    else:
        with pytest.raises(Refused) as caught:
            asyncio.run(confirmed(person, "Burn it?"))
        assert caught.value.rule == "not_confirmed"
    assert "Burn it?" in printed.getvalue()


def test_a_terminal_cannot_sample_or_list_roots() -> None:
    person, _, _ = asking()
    assert (person.can(Form), person.can(Sample), person.can(Roots)) == (True, False, False)
    with pytest.raises(CannotAsk):
        asyncio.run(person.ask(it=Sample("?")))


def test_progress_and_log_are_printed() -> None:
    person, _, printed = asking()
    asyncio.run(person.progress(1, 4, "reading"))
    asyncio.run(person.log("info", "half way"))
    assert printed.getvalue().splitlines() == ["1 of 4 · reading", "info: half way"]


class Box(BaseModel):
    items: list[str] = []


async def how_many(box: "Boxes", person: Asking, limit: int) -> int:
    await person.progress(1)
    return min(limit, len(box.data.items))


class Boxes(World):
    data: Box

    @action
    def put(self, item: str) -> None:
        """Put something in."""
        self.data.items = [*self.data.items, item]

    @action(confirm=lambda box, item: f"Throw {item} out of {len(box.data.items)}?")
    def throw(self, item: str, reason: str = "") -> str:
        """Throw something out."""
        self.data.items = [kept for kept in self.data.items if kept != item]
        return item

    @action(prepare=how_many)
    def take(self, limit: int, prepared: int = 0) -> list[str]:
        """Take some out."""
        taken, self.data.items = self.data.items[:prepared], self.data.items[prepared:]
        return taken

    @action(read_only=True, prepare=how_many)
    def count(self, limit: int, prepared: int = 0) -> int:
        """Count up to a limit."""
        return prepared


@pytest.fixture
def boxes(dispatcher_of: Callable[..., Dispatcher]) -> Dispatcher:
    """A dispatcher whose main box holds a and b, at revision 3."""
    dispatcher = dispatcher_of(Boxes)
    for item in "ab":
        dispatcher.dispatch(call("put", item=item))
    return dispatcher


def call(name: str, **arguments: Any) -> Call:
    """A call on the main box."""
    return Call(principal=LOCAL, world="boxes", action=name, arguments=arguments)


def test_an_action_that_does_not_ask_is_called_as_it_is(boxes: Dispatcher) -> None:
    asked = call("put", item="c")
    assert asyncio.run(prepared_call(boxes, asked, asking()[0])) is asked


def test_confirmed_calls_are_bound_to_what_was_seen(boxes: Dispatcher) -> None:
    person, _, printed = asking("y")
    ready = asyncio.run(prepared_call(boxes, call("throw", item="a"), person))
    assert "Throw a out of 2?" in printed.getvalue()
    assert (ready.session, ready.if_revision) == (boxes.main(LOCAL, "boxes"), 3)
    assert ready.key
    assert boxes.dispatch(ready).revision == 4


def test_a_change_meanwhile_makes_the_answer_stale(boxes: Dispatcher) -> None:
    ready = asyncio.run(prepared_call(boxes, call("throw", item="a"), asking("y")[0]))
    boxes.dispatch(call("put", item="c"))
    with pytest.raises(Conflict):
        boxes.dispatch(ready)


def test_a_call_carried_out_before_asks_nobody(boxes: Dispatcher) -> None:
    ready = asyncio.run(prepared_call(boxes, call("throw", item="a"), asking("y")[0]))
    boxes.dispatch(ready)
    person, typed, _ = asking()
    again = asyncio.run(prepared_call(boxes, ready, person))
    assert (typed.questions, boxes.dispatch(again).replayed) == ([], 4)


def test_prepared_values_reach_the_method(boxes: Dispatcher) -> None:
    ready = asyncio.run(prepared_call(boxes, call("take", limit=1), asking()[0]))
    assert boxes.dispatch(ready).value == ["a"]
    reading = asyncio.run(prepared_call(boxes, call("count", limit=9), asking()[0]))
    assert boxes.read(reading).value == 1
