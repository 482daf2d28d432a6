"""Tables whose rows are themselves history: what undo does with them, and what stood when."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from sqlalchemy import column, table
from sqlmodel import JSON, Column, Field, bindparam, col, func, select

from engine import HistoryRow, Part, Row, World, action, aliased
from engine.dispatch import Dispatcher
from engine.errors import DefinitionError
from engine.models import table_of
from engine.operations import Call
from engine.retention import prune
from engine.types import LOCAL, Principal


class Said(HistoryRow, table=True):
    text: str
    marks: list[str] = Field(default_factory=list, sa_column=Column(JSON))


class Book(Part, table=True):
    pass


class Notes(World, name="notes", rows=[Said, Book]):
    """What was said."""

    @action
    def say(self, texts: list[str]) -> list[int]:
        return [row.id for row in self.rows(Said).add_all([{"text": text} for text in texts])]

    @action
    def mark(self, text: str, marks: list[str]) -> None:
        self.rows(Said).add(text=text, marks=marks).marks.append("told")

    @action
    def take_back(self, text: str) -> None:
        self.rows(Said).remove_all(self.rows(Said).where(text=text))

    @action
    def say_and_take_back(self, text: str) -> None:
        self.rows(Said).remove(self.rows(Said).add(text=text))

    @action
    def change(self, text: str, to: str) -> None:
        self.rows(Said).where(text=text)[0].text = to

    @action(read_only=True)
    def said(self, at: int | None = None) -> list[str]:
        return [row.text for row in self.rows(Said).at(at)]

    @action(read_only=True)
    def tellers(self) -> list[list[Any]]:
        found = self.origins(range(1, self.revision + 1))
        return [[one.action, one.by, one.client, one.about] for _, one in sorted(found.items())]

    @action(read_only=True)
    def pairs(self) -> list[Any]:
        other = aliased(Said)
        found = select(Said.text, other.text).join(other, col(other.id) == col(Said.id))
        rows = self.rows(Said)
        return [list(row) for row in self.select(found.where(*rows.standing(), *rows.standing(other)))]

    @action(read_only=True)
    def pages(self, of: int, at: int | None = None) -> list[list[str]]:
        rows, last, pages = self.rows(Said).at(at), 0, list[list[str]]()
        wanted = select(Said.id, Said.text).where(*rows.standing()).order_by(col(Said.id)).limit(of)
        while page := self.select(wanted.where(rows.after(last))):
            last = page[-1][0]
            pages.append([text for _, text in page])
        return pages

    @action(read_only=True)
    def beginning(self, so: str) -> list[str]:
        return [text for (text,) in self.select(beginning_with(), {"so": f"{so}%"})]


@cache
def beginning_with() -> Any:
    return select(Said.text).where(col(Said.text).like(bindparam("so")), *Said.standing_now())


def do(dispatcher: Dispatcher, action: str, principal: Principal = LOCAL, **arguments: Any) -> Any:
    return dispatcher.dispatch(Call(principal=principal, world="notes", action=action, arguments=arguments)).value


def said(dispatcher: Dispatcher, at: int | None = None) -> Any:
    return do(dispatcher, "said", at=at)


def test_what_stood_at_a_revision_stays_so_whatever_is_undone(dispatcher_of: Callable[..., Dispatcher]) -> None:
    notes = dispatcher_of(Notes)
    do(notes, "say", texts=["one", "two"])
    do(notes, "take_back", text="one")
    session = notes.main(LOCAL, "notes")
    expected = {1: [], 2: ["one", "two"], 3: ["two"]}
    for revision, way, then in (
        (4, "undo", ["one", "two"]),
        (5, "undo", []),
        (6, "redo", ["one", "two"]),
        (7, "redo", ["two"]),
        (8, "undo", ["one", "two"]),
        (9, "undo", []),
    ):
        notes.dispatch(Call(principal=LOCAL, world="notes", action=way, session=session))
        expected[revision] = then
        assert said(notes) == then
        assert {at: said(notes, at) for at in expected} == expected


def test_a_past_revision_is_told_alike_by_its_rows_and_by_the_journal(
    dispatcher_of: Callable[..., Dispatcher],
) -> None:
    notes = dispatcher_of(Notes)
    do(notes, "say", texts=["one", "two"])
    do(notes, "take_back", text="one")
    session = notes.main(LOCAL, "notes")
    notes.dispatch(Call(principal=LOCAL, world="notes", action="undo", session=session))
    for revision in range(1, 5):
        fork = notes.fork(LOCAL, session, at=revision).session
        found = notes.dispatch(Call(principal=LOCAL, world="notes", action="said", session=fork)).value
        assert found == said(notes, revision)


def test_what_is_taken_back_in_the_change_that_made_it_never_was(dispatcher_of: Callable[..., Dispatcher]) -> None:
    notes = dispatcher_of(Notes)
    do(notes, "say_and_take_back", text="one")
    assert said(notes) == []
    assert said(notes, 2) == []


def test_a_row_of_history_cannot_be_changed(dispatcher_of: Callable[..., Dispatcher]) -> None:
    notes = dispatcher_of(Notes)
    do(notes, "say", texts=["one"])
    with pytest.raises(TypeError, match="remove it and add another"):
        do(notes, "change", text="one", to="two")
    assert said(notes) == ["one"]


def test_a_select_of_the_authors_own_finds_this_sessions_rows_only(dispatcher_of: Callable[..., Dispatcher]) -> None:
    notes, other = dispatcher_of(Notes), Principal("test", "other")
    do(notes, "say", texts=["one"])
    do(notes, "say", other, texts=["two"])
    assert do(notes, "pairs") == [["one", "one"]]
    assert do(notes, "pairs", other) == [["two", "two"]]


@pytest.mark.parametrize(
    "statement",
    [
        select(table_of(Said).c.text),
        select(table_of(Said).alias().c.text),
        select(Said.text).where(table_of(Said).c.id > 0),
        select(func.count()).select_from(table_of(Said)),
        select(column("text")).select_from(table(str(Said.__tablename__), column("text"))),
        select(column("handle")).select_from(table("session", column("handle"))),
    ],
)
def test_a_select_that_names_no_class_is_refused(dispatcher_of: Callable[..., Dispatcher], statement: Any) -> None:
    notes = dispatcher_of(Notes)
    do(notes, "say", Principal("test", "other"), texts=["two"])
    do(notes, "say", texts=["one"])
    view = notes.detached(LOCAL, "notes", notes.main(LOCAL, "notes"), 2)
    with pytest.raises(TypeError, match="name"):
        view.select(statement)
    assert (
        view.select(select(func.count()).select_from(Said)) == view.select(select(func.count(col(Said.id)))) == [(1,)]
    )


def test_rows_are_read_by_pages(dispatcher_of: Callable[..., Dispatcher]) -> None:
    notes, other = dispatcher_of(Notes), Principal("test", "other")
    do(notes, "say", other, texts=["x", "y", "z"])
    do(notes, "say", texts=[*"abcde"])  # 2
    do(notes, "say", other, texts=["x", "y", "z"])
    do(notes, "take_back", text="b")
    assert do(notes, "pages", of=2) == [["a", "c"], ["d", "e"]]
    assert do(notes, "pages", of=2, at=2) == [["a", "b"], ["c", "d"], ["e"]]
    assert do(notes, "pages", other, of=4) == [["x", "y", "z", "x"], ["y", "z"]]


def test_a_select_that_is_kept_finds_the_rows_of_whoever_asks(dispatcher_of: Callable[..., Dispatcher]) -> None:
    notes, other = dispatcher_of(Notes), Principal("test", "other")
    for so in ("o", "t"):
        do(notes, "say", texts=[f"{so}ne"])
        do(notes, "say", other, texts=[f"{so}wo"])
    do(notes, "take_back", text="one")
    assert [do(notes, "beginning", who, so=so) for so in "ot" for who in (LOCAL, other)] == [
        [],
        ["owo"],
        ["tne"],
        ["two"],
    ]


def test_rows_of_history_and_others_do_not_mix() -> None:
    class Plain(Row, table=True):
        name: str = Field(primary_key=True)

    with pytest.raises(DefinitionError, match="Said is a HistoryRow, and Plain is not"):

        class Mixed(World, rows=[Said, Plain]):
            """Both."""


def test_a_row_that_is_being_told_may_hold_a_list(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Notes)
    do(dispatcher, "mark", text="one", marks=["a"])
    then = dispatcher.past(LOCAL, dispatcher.main(LOCAL, "notes"))[0]
    assert [row["marks"] for row in then.rows[str(Said.__tablename__)]] == [["a", "told"]]


def test_a_world_can_say_who_told_what_through_which_program(dispatcher_of: Callable[..., Dispatcher]) -> None:
    notes, ann = dispatcher_of(Notes), Principal("test", "ann", "Ann", client="inspector 1.2")
    do(notes, "say", ann, texts=["one"])
    session = notes.main(ann, "notes")
    notes.dispatch(Call(principal=ann, world="notes", action="undo", session=session))
    assert do(notes, "tellers", ann) == [
        ["start", "Ann", "inspector 1.2", None],
        ["say", "Ann", "inspector 1.2", None],
        ["undo", "Ann", "inspector 1.2", 2],
    ]
    notes.store.offset += timedelta(days=9)
    do(notes, "say", replace(ann, client=None), texts=["two"])
    prune(notes.store, timedelta(days=1))
    assert do(notes, "tellers", ann) == [["undo", "Ann", "inspector 1.2", 2], ["say", "Ann", None, None]]
