"""What a world has worked out is kept for who asks next: as long as it is so, and for nobody else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Field

from engine import Refused, Row, World, action
from engine.dispatch import Dispatcher
from engine.limits import Limits
from engine.operations import Call
from engine.types import LOCAL, Principal

ANN = Principal("test", "ann")
made: list[str] = []
"""What was worked out anew."""


class Word(Row, table=True):
    text: str = Field(primary_key=True)


class Words(World, name="cached_words", rows=[Word]):
    """Words, and what they are together."""

    @action
    def add(self, text: str, fail: bool = False) -> str:
        before = self._together()
        self.rows(Word).add(text=text)
        now = self._together()
        if fail:
            raise Refused("failed", "It failed.")
        return f"{before}/{now}"

    @action(read_only=True)
    def together(self, key: str = "a") -> str:
        return self._together(key)

    @action(read_only=True)
    def forwarded(self) -> str:
        return self.cached("forwarded", self._make, size=len, forward=lambda old, at: f"{old}@{at}")

    def _together(self, key: str = "a") -> str:
        return self.cached(key, self._make, size=len)

    def _make(self) -> str:
        made.append(" ".join(row.text for row in self.rows(Word)))
        return made[-1]


def do(dispatcher: Dispatcher, action: str, principal: Principal = LOCAL, **arguments: Any) -> Any:
    return dispatcher.dispatch(
        Call(principal=principal, world="cached_words", action=action, arguments=arguments)
    ).value


def undo(dispatcher: Dispatcher, way: str = "undo") -> None:
    session = dispatcher.main(LOCAL, "cached_words")
    dispatcher.dispatch(Call(principal=LOCAL, world="cached_words", action=way, session=session))


def count(work: Callable[[], object]) -> int:
    before = len(made)
    work()
    return len(made) - before


def test_it_is_worked_out_once_a_revision_and_key(dispatcher_of: Callable[..., Dispatcher]) -> None:
    words = dispatcher_of(Words)
    do(words, "add", text="one")
    assert count(lambda: do(words, "together")) == 1
    assert count(lambda: do(words, "together")) == 0
    assert count(lambda: do(words, "together", key="b")) == 1
    do(words, "add", text="two")
    assert do(words, "together") == "one two"
    undo(words)
    assert do(words, "together") == "one"
    undo(words, "redo")
    assert do(words, "together") == "one two"


def test_an_action_that_changes_things_sees_them_as_they_are_and_leaves_nothing(
    dispatcher_of: Callable[..., Dispatcher],
) -> None:
    words = dispatcher_of(Words)
    assert do(words, "add", text="one") == "/one"
    assert do(words, "together") == "one"
    with pytest.raises(Refused):
        do(words, "add", text="two", fail=True)
    assert count(lambda: do(words, "together")) == 0
    assert do(words, "together") == "one"


def test_another_session_has_its_own(dispatcher_of: Callable[..., Dispatcher]) -> None:
    words = dispatcher_of(Words)
    do(words, "add", text="mine")
    do(words, "add", principal=ANN, text="ann's")
    assert do(words, "together") == "mine"
    assert do(words, "together", principal=ANN) == "ann's"
    session = words.main(LOCAL, "cached_words")
    fork = words.fork(LOCAL, session).session
    call = Call(principal=LOCAL, world="cached_words", action="add", session=fork, arguments={"text": "more"})
    words.dispatch(call)
    assert do(words, "together") == "mine"


def test_what_was_worked_out_is_brought_forward(dispatcher_of: Callable[..., Dispatcher]) -> None:
    words = dispatcher_of(Words)
    do(words, "add", text="one")
    assert do(words, "forwarded") == "one"
    do(words, "add", text="two")
    assert do(words, "forwarded") == "one@2"
    assert do(words, "forwarded") == "one@2"


def test_another_past_is_not_brought_forward(dispatcher_of: Callable[..., Dispatcher], tmp_path: Path) -> None:
    words = dispatcher_of(Words)
    do(words, "add", text="one")
    session = words.main(LOCAL, "cached_words")
    words.export(LOCAL, session, tmp_path / "old.db")
    do(words, "add", text="two")
    assert do(words, "forwarded") == "one two"
    words.import_file(LOCAL, tmp_path / "old.db", same_handle=True)  # the session shows other rows from here on
    assert do(words, "forwarded") == "one"
    words.erase(LOCAL, session)
    words.import_file(LOCAL, tmp_path / "old.db", same_handle=True)
    call = Call(principal=LOCAL, world="cached_words", action="add", session=session, arguments={"text": "three"})
    words.dispatch(call)
    look = Call(principal=LOCAL, world="cached_words", action="forwarded", session=session)
    assert words.dispatch(look).value == "one three"


def test_what_is_kept_is_bounded_in_bytes(dispatcher_of: Callable[..., Dispatcher]) -> None:
    words = dispatcher_of(Words, limits=Limits(memory=10))
    do(words, "add", text="12345")
    for key in "abc":
        do(words, "together", key=key)
    assert count(lambda: do(words, "together", key="c")) == 0
    assert count(lambda: do(words, "together", key="a")) == 1
    assert words.store.memory.size == 10
    do(words, "add", text="678901")
    assert count(lambda: [do(words, "together"), do(words, "together")]) == 2
