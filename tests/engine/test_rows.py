"""One session's rows: read, written, journaled, and nobody else's."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from types import new_class
from typing import Any

import pytest
from sqlalchemy import JSON, Column, delete, func, insert, select, text, update
from sqlalchemy.orm import Session as DbSession
from sqlalchemy.orm import object_session
from sqlmodel import CheckConstraint, Field, ForeignKeyConstraint, UniqueConstraint

from engine import Row, World, action
from engine.dispatch import Dispatcher
from engine.errors import DefinitionError, InvalidArguments, Refused
from engine.models import check_row, table_name
from engine.operations import Call
from engine.types import LOCAL, Outcome, Principal, RowChange

BEN = Principal("test", "ben")


class Kind(StrEnum):
    WORD = "word"
    NUMBER = "number"


class Note(Row, table=True):
    """One note, with a column of most kinds."""

    __table_args__ = (
        CheckConstraint("weight between 1 and 9", name="weight"),
        UniqueConstraint("session_id", "place"),
    )
    id: int | None = Field(default=None, primary_key=True)
    text: str = Field(min_length=1)
    weight: int = 1
    place: int | None = None
    kind: Kind = Kind.WORD
    tags: list[str] = Field(default_factory=list, sa_column=Column(JSON))
    at: datetime | None = None
    label: str = Field(default="", index=True)


class Square(Row, table=True):
    """A row whose key has two parts."""

    x: int = Field(primary_key=True)
    y: str = Field(primary_key=True)
    piece: str = ""


class Folder(Row, table=True):
    """What pages are in."""

    name: str = Field(primary_key=True)


class Page(Row, table=True):
    """A row that refers to another."""

    __table_args__ = (
        ForeignKeyConstraint(
            ["session_id", "folder"], [f"{Folder.__tablename__}.session_id", f"{Folder.__tablename__}.name"]
        ),
    )
    id: int | None = Field(default=None, primary_key=True)
    folder: str


class Desk(World, rows=[Note, Square, Folder, Page]):
    """A desk of notes."""

    @action
    def do(self, what: str) -> None:
        """Run one of this module's functions on the desk."""
        STEPS[what](self)


NOTES, SQUARES = str(Note.__tablename__), str(Square.__tablename__)
STEPS: dict[str, Callable[[Desk], Any]] = {}


@pytest.fixture
def desk(dispatcher_of: Callable[..., Dispatcher]) -> Callable[..., Outcome]:
    """Runs a function on one desk, as an action."""
    dispatcher = dispatcher_of(Desk)

    def run(step: Callable[[Desk], Any], by: Principal = LOCAL) -> Outcome:
        STEPS["step"] = step
        return dispatcher.dispatch(Call(principal=by, world="desk", action="do", arguments={"what": "step"}))

    run.dispatcher = dispatcher  # type: ignore[attr-defined]
    return run


def changes(outcome: Outcome) -> tuple[RowChange, ...]:
    assert outcome.change is not None
    return outcome.change.rows


def seen(desk: Any, view: Callable[[Any], Any], by: Principal = LOCAL) -> Any:
    return desk.dispatcher.look(by, "desk", None, view)


def texts(desk: Any, by: Principal = LOCAL) -> list[str]:
    return list(seen(desk, lambda world: [note.text for note in world.rows(Note)], by))


def undo(desk: Any, name: str = "undo") -> Outcome:
    outcome: Outcome = desk.dispatcher.dispatch(Call(principal=LOCAL, world="desk", action=name))
    return outcome


def past(desk: Any, revision: int) -> dict[str, Any]:
    then, _ = desk.dispatcher.past(LOCAL, desk.dispatcher.main(LOCAL, "desk"), revision)
    return {"note" if table == NOTES else table: rows for table, rows in then.rows.items()}


# adding


def test_added_row_is_validated(desk: Callable[..., Outcome]) -> None:
    with pytest.raises(InvalidArguments, match=r"Note\.text: String should have at least 1 character"):
        desk(lambda world: world.rows(Note).add(text=""))
    with pytest.raises(InvalidArguments, match=r"Note\.weight: Input should be a valid integer"):
        desk(lambda world: world.rows(Note).add(text="a", weight="heavy"))
    with pytest.raises(InvalidArguments, match=r"Note\.text: Field required"):
        desk(lambda world: world.rows(Note).add())
    assert texts(desk) == []


def test_changed_row_is_validated(desk: Callable[..., Outcome]) -> None:
    desk(lambda world: world.rows(Note).add(text="a"))

    def blank(world: Desk) -> None:
        for note in world.rows(Note):
            note.text = ""

    with pytest.raises(InvalidArguments, match=r"Note\.text: String should have at least 1 character"):
        desk(blank)
    assert texts(desk) == ["a"]


def test_integer_key_left_out_is_the_next_free_one_of_the_session(desk: Callable[..., Outcome]) -> None:
    found: list[int | None] = []
    desk(lambda world: found.extend(world.rows(Note).add(text="a").id for _ in range(2)))
    desk(lambda world: world.rows(Note).add(id=10, text="b"))
    desk(lambda world: found.append(world.rows(Note).add(text="c").id))
    desk(lambda world: found.append(world.rows(Note).add(text="x").id), BEN)
    assert found == [1, 2, 11, 1]


def test_row_of_a_taken_key_is_refused(desk: Callable[..., Outcome]) -> None:
    desk(lambda world: world.rows(Square).add(x=1, y="a", piece="king"))
    with pytest.raises(Refused, match=r"There is a Square {'x': 1, 'y': 'a'} already") as raised:
        desk(lambda world: world.rows(Square).add(x=1, y="a"))
    assert raised.value.rule == "already_there"


def test_broken_constraint_is_refused_by_name_and_leaves_nothing(desk: Callable[..., Outcome]) -> None:
    desk(lambda world: world.rows(Note).add(text="a", place=1))

    def heavy(world: Desk) -> None:
        world.rows(Note).add(text="b")
        world.rows(Note).add(text="c", weight=10)

    def fatten(world: Desk) -> None:
        for note in world.rows(Note):
            note.weight = 10

    for step in (heavy, fatten):
        with pytest.raises(Refused, match=r"CHECK constraint failed: ck_.*note_weight. Nothing was changed") as raised:
            desk(step)
        assert raised.value.rule == "constraint" and "SQL" not in str(raised.value)
    with pytest.raises(Refused, match="UNIQUE constraint failed"):
        desk(lambda world: world.rows(Note).add(text="d", place=1))
    with pytest.raises(Refused, match="FOREIGN KEY constraint failed"):
        desk(lambda world: world.rows(Page).add(folder="nowhere"))
    assert texts(desk) == ["a"] and desk(lambda world: None).revision == 3


def test_broken_constraint_that_the_method_catches_still_refuses_the_action(desk: Callable[..., Outcome]) -> None:
    desk(lambda world: world.rows(Note).add(text="a"))

    def swallow(world: Desk) -> None:
        world.rows(Note).add(text="b")
        try:
            world.rows(Note).add(text="c", weight=10)
        except Exception:
            return

    with pytest.raises(Refused, match="CHECK constraint failed"):
        desk(swallow)
    assert texts(desk) == ["a"] and desk(lambda world: None).revision == 3


# reading


def test_rows_are_iterated_by_key_found_filtered_and_counted(desk: Callable[..., Outcome]) -> None:
    def fill(world: Desk) -> None:
        for x, piece in ((2, "king"), (1, "pawn"), (3, "pawn")):
            world.rows(Square).add(x=x, y="a", piece=piece)

    desk(fill)

    def view(world: Desk) -> None:
        squares = world.rows(Square)
        assert [square.x for square in squares] == [1, 2, 3] and len(squares) == 3 and squares
        assert [square.x for square in squares.where(piece="pawn")] == [1, 3]
        assert [square.x for square in squares.where(Square.x > 1, piece="pawn")] == [3]
        assert [square.piece for square in squares.where(order_by=Square.piece)] == ["king", "pawn", "pawn"]
        assert (squares.count(), squares.count(piece="pawn"), squares.count(Square.x > 1)) == (3, 2, 2)
        king = squares.find(x=2, y="a")
        assert king is not None and king.piece == "king"
        assert squares.find(x=2, y="b") is None
        assert not world.rows(Note)

    seen(desk, view)


def test_find_insists_on_the_whole_key(desk: Callable[..., Outcome]) -> None:
    with pytest.raises(TypeError, match=r"find\(Square\) takes the key x, y, received x"):
        seen(desk, lambda world: world.rows(Square).find(x=1))


def test_action_sees_its_own_writes(desk: Callable[..., Outcome]) -> None:
    def step(world: Desk) -> None:
        note = world.rows(Note).add(text="a")
        note.text = "b"
        assert world.rows(Note).count(text="b") == 1 and world.rows(Note).find(id=note.id) is note
        world.rows(Note).remove(note)
        assert world.rows(Note).find(id=note.id) is None and not world.rows(Note)

    desk(step)


def test_values_of_every_kind_come_back_as_they_were(desk: Callable[..., Outcome]) -> None:
    at = datetime(2026, 11, 1, 12, 30, tzinfo=UTC)
    desk(lambda world: world.rows(Note).add(text="é", kind=Kind.NUMBER, tags=["x"], at=at))
    note = seen(desk, lambda world: world.rows(Note).find(id=1))
    assert (note.text, note.kind, note.tags, note.at) == ("é", Kind.NUMBER, ["x"], at)
    image = changes(desk(lambda world: world.rows(Note).remove(world.rows(Note).where()[0])))[0].before
    added = past(desk, 2)["note"][0]
    undo(desk)
    assert image == added == past(desk, 4)["note"][0]
    assert seen(desk, lambda world: world.rows(Note).find(id=1)).at == at


# other sessions


def test_rows_of_another_session_are_invisible_and_untouchable(desk: Callable[..., Outcome]) -> None:
    desk(lambda world: world.rows(Note).add(text="mine"))
    other: list[int] = []
    desk(lambda world: other.append(world.rows(Note).add(text="yours").session_id), BEN)

    def look(world: Desk) -> None:
        notes = world.rows(Note)
        assert [note.text for note in notes] == ["mine"] and notes.count() == 1
        assert notes.where(Note.text == "yours") == [] and notes.where(session_id=other[0]) == []

    seen(desk, look)
    desk(lambda world: world.rows(Note).add(session_id=other[0], id=7, text="planted"))
    assert texts(desk) == ["mine", "planted"] and texts(desk, BEN) == ["yours"]


def test_row_cannot_be_moved_to_another_session(desk: Callable[..., Outcome]) -> None:
    desk(lambda world: world.rows(Note).add(text="a"))

    def move(world: Desk) -> None:
        for note in world.rows(Note):
            note.session_id = 999

    with pytest.raises(TypeError, match="the key session_id of a Note cannot change"):
        desk(move)


def test_key_of_a_row_cannot_change(desk: Callable[..., Outcome]) -> None:
    desk(lambda world: world.rows(Note).add(text="a"))

    def renumber(world: Desk) -> None:
        for note in world.rows(Note):
            note.id = 5

    with pytest.raises(TypeError, match="the key id of a Note cannot change; remove it and add another"):
        desk(renumber)
    assert seen(desk, lambda world: world.rows(Note).find(id=1)).text == "a"


# what would escape the journal


@pytest.mark.parametrize(
    "statement",
    [
        update(Note).values(text="b"),
        delete(Note),
        insert(Note).values(session_id=1, id=9, text="b", weight=1, kind="WORD", tags=[], label=""),
    ],
    ids=["update", "delete", "insert"],
)
def test_bulk_statement_is_refused(desk: Callable[..., Outcome], statement: Any) -> None:
    desk(lambda world: world.rows(Note).add(text="a"))

    def bulk(world: Desk) -> None:
        db = object_session(world.rows(Note).where()[0])
        assert db is not None
        db.execute(statement)

    with pytest.raises(TypeError, match="would escape the journal; load the rows and change them"):
        desk(bulk)
    assert texts(desk) == ["a"]


def session_behind(world: Desk) -> DbSession:
    """The ORM session that the rows lead to."""
    db = object_session(world.rows(Note).where()[0])
    assert db is not None
    return db


@pytest.mark.parametrize(
    "escape",
    [
        lambda db: db.execute(text(f"update {NOTES} set text = 'b'")),
        lambda db: db.execute(text(f"/* quiet */ delete from {NOTES}")),
        lambda db: db.execute(text(f"with x as (select 1) delete from {NOTES} where 1 in x")),
        lambda db: db.execute(text(f"drop table {NOTES}")),
        lambda db: db.execute(text("savepoint mine")),
        lambda db: db.connection().execute(update(Note.__table__).values(text="b")),  # type: ignore[attr-defined]
        lambda db: db.connection().execute(delete(Note.__table__)),  # type: ignore[attr-defined]
        lambda db: db.connection().exec_driver_sql(f"update {NOTES} set text = 'b'"),
        lambda db: db.connection().exec_driver_sql("pragma foreign_keys = off"),
        lambda db: db.connection().exec_driver_sql("commit"),
    ],
    ids=["text", "comment", "with", "drop", "savepoint", "core update", "core delete", "driver", "pragma", "commit"],
)
def test_statement_of_its_own_that_writes_is_refused(desk: Callable[..., Outcome], escape: Callable[..., Any]) -> None:
    desk(lambda world: world.rows(Note).add(text="a"))
    with pytest.raises(TypeError, match="would escape the journal; load the rows and change them"):
        desk(lambda world: escape(session_behind(world)))
    assert texts(desk) == ["a"]


def test_statement_of_its_own_that_writes_is_refused_in_a_resource(desk: Any) -> None:
    desk(lambda world: world.rows(Note).add(text="a"))
    with pytest.raises(TypeError, match="would escape the journal"):
        seen(desk, lambda world: session_behind(world).execute(text(f"delete from {NOTES}")))


def test_statement_that_reads_is_allowed(desk: Callable[..., Outcome]) -> None:
    def read(world: Desk) -> None:
        world.rows(Note).add(text="a", label="update")
        db = session_behind(world)
        labelled = select(func.count()).select_from(Note).filter_by(label="update")
        assert db.scalars(labelled).all() == [1]
        assert db.scalar(text(f"select count(*) from {NOTES} where label = :label"), {"label": "update"}) == 1
        longest = select(func.max(func.length(Note.text)).label("longest")).cte("delete")
        assert db.scalar(select(longest.c.longest)) == 1

    desk(read)
    assert texts(desk) == ["a"]


@pytest.mark.parametrize(
    "end",
    [lambda db: db.rollback(), lambda db: db.connection().commit(), lambda db: db.connection().rollback()],
    ids=["rollback", "connection commits", "connection rolls back"],
)
def test_action_cannot_end_its_transaction(desk: Callable[..., Outcome], end: Callable[..., Any]) -> None:
    desk(lambda world: world.rows(Note).add(text="a"))

    def ends(world: Desk) -> None:
        world.rows(Note).where()[0].text = "b"
        end(session_behind(world))

    with pytest.raises(TypeError, match="one transaction, which the engine ends"):
        desk(ends)
    assert texts(desk) == ["a"]


@pytest.mark.parametrize("then", [lambda world: world.rows(Square).count(), lambda world: None], ids=["read", "end"])
def test_row_deleted_behind_the_journals_back_is_refused(
    desk: Callable[..., Outcome], then: Callable[[Desk], Any]
) -> None:
    desk(lambda world: world.rows(Note).add(text="a"))

    def smuggle(world: Desk) -> None:
        note = world.rows(Note).where()[0]
        session_behind(world).delete(note)
        then(world)

    with pytest.raises(TypeError, match=r"remove it with rows\(…\)\.remove"):
        desk(smuggle)
    assert texts(desk) == ["a"]


def test_row_taken_from_its_orm_session_is_refused(desk: Callable[..., Outcome]) -> None:
    desk(lambda world: world.rows(Note).add(text="a"))

    def expunge(world: Desk) -> None:
        note = world.rows(Note).where()[0]
        session_behind(world).expunge(note)
        note.text = "b"

    with pytest.raises(TypeError, match="taken from its ORM session"):
        desk(expunge)
    assert texts(desk) == ["a"]


def test_row_added_behind_the_journals_back_is_refused(desk: Callable[..., Outcome]) -> None:
    desk(lambda world: world.rows(Note).add(text="a"))

    def smuggle(world: Desk) -> None:
        note = world.rows(Note).where()[0]
        db = object_session(note)
        assert db is not None
        db.add(Note(session_id=note.session_id, id=2, text="b"))

    with pytest.raises(TypeError, match=r"make it with rows\(…\)\.add\(…\)"):
        desk(smuggle)
    assert texts(desk) == ["a"]


# images


def test_change_and_journal_hold_images_of_what_was_added(desk: Callable[..., Outcome]) -> None:
    outcome = desk(lambda world: world.rows(Square).add(x=1, y="a", piece="king"))
    assert changes(outcome) == (RowChange(SQUARES, None, {"x": 1, "y": "a", "piece": "king"}),)
    with desk.dispatcher.store.snapshot() as transaction:  # type: ignore[attr-defined]
        entry = transaction.entry(transaction.session(outcome.session).id, 2)
    assert json.loads(entry.rows) == [[SQUARES, None, {"x": 1, "y": "a", "piece": "king"}]]


def test_change_holds_images_before_and_after_an_update(desk: Callable[..., Outcome]) -> None:
    desk(lambda world: world.rows(Square).add(x=1, y="a", piece="king"))

    def crown(world: Desk) -> None:
        square = world.rows(Square).find(x=1, y="a")
        assert square is not None
        square.piece = "rook"
        world.rows(Square).count()
        square.piece = "queen"

    assert changes(desk(crown)) == (
        RowChange(SQUARES, {"x": 1, "y": "a", "piece": "king"}, {"x": 1, "y": "a", "piece": "queen"}),
    )


def test_change_holds_the_image_of_what_was_removed(desk: Callable[..., Outcome]) -> None:
    desk(lambda world: world.rows(Square).add(x=1, y="a", piece="king"))
    outcome = desk(lambda world: world.rows(Square).remove(world.rows(Square).where()[0]))
    assert changes(outcome) == (RowChange(SQUARES, {"x": 1, "y": "a", "piece": "king"}, None),)


def test_row_added_and_removed_again_is_no_change(desk: Callable[..., Outcome]) -> None:
    def step(world: Desk) -> None:
        world.rows(Square).remove(world.rows(Square).add(x=1, y="a"))

    assert changes(desk(step)) == ()


def test_row_removed_and_added_again_is_one_change(desk: Callable[..., Outcome]) -> None:
    desk(lambda world: world.rows(Square).add(x=1, y="a", piece="king"))

    def step(world: Desk) -> None:
        world.rows(Square).remove(world.rows(Square).where()[0])
        world.rows(Square).add(x=1, y="a", piece="queen")

    assert changes(desk(step)) == (
        RowChange(SQUARES, {"x": 1, "y": "a", "piece": "king"}, {"x": 1, "y": "a", "piece": "queen"}),
    )
    undo(desk)
    assert seen(desk, lambda world: world.rows(Square).find(x=1, y="a")).piece == "king"


def test_row_only_read_or_changed_back_is_no_change(desk: Callable[..., Outcome]) -> None:
    desk(lambda world: world.rows(Square).add(x=1, y="a", piece="king"))

    def step(world: Desk) -> None:
        square = world.rows(Square).where()[0]
        square.piece = "rook"
        world.rows(Square).count()
        square.piece = "king"

    assert changes(desk(step)) == ()


def test_list_changed_in_place_is_written_and_undone(desk: Callable[..., Outcome]) -> None:
    def add(world: Desk) -> None:
        world.rows(Note).add(text="a", tags=["x"]).tags.append("y")

    desk(add)
    assert seen(desk, lambda world: world.rows(Note).where()[0].tags) == ["x", "y"]
    desk(lambda world: world.rows(Note).where()[0].tags.append("z"))
    assert seen(desk, lambda world: world.rows(Note).where()[0].tags) == ["x", "y", "z"]
    undo(desk)
    assert seen(desk, lambda world: world.rows(Note).where()[0].tags) == ["x", "y"]


# undoing rows that depend on each other


def test_unique_values_that_changed_places_are_undone_and_done_again(desk: Callable[..., Outcome]) -> None:
    def fill(world: Desk) -> None:
        for place in (1, 2):
            world.rows(Note).add(text=str(place), place=place)

    def swap(world: Desk) -> None:
        first, second = world.rows(Note)
        first.place = None
        world.rows(Note).count()
        second.place, first.place = 1, None
        world.rows(Note).count()
        first.place = 2

    def places() -> list[int]:
        return list(seen(desk, lambda world: [note.place for note in world.rows(Note)]))

    desk(fill)
    desk(swap)
    assert places() == [2, 1]
    undo(desk)
    assert places() == [1, 2]
    undo(desk, "redo")
    assert places() == [2, 1]
    fork = desk.dispatcher.fork(LOCAL, desk.dispatcher.main(LOCAL, "desk"), 2).session  # type: ignore[attr-defined]
    view = desk.dispatcher.look(LOCAL, "desk", fork, lambda world: [note.place for note in world.rows(Note)])  # type: ignore[attr-defined]
    assert view == [1, 2]


def test_unique_value_taken_over_from_a_removed_row_is_undone(desk: Callable[..., Outcome]) -> None:
    desk(lambda world: [world.rows(Note).add(text=str(place), place=place) for place in (1, 2)])

    def take_over(world: Desk) -> None:
        first, second = world.rows(Note)
        world.rows(Note).remove(second)
        first.place = 2

    desk(take_over)
    undo(desk)
    assert seen(desk, lambda world: [note.place for note in world.rows(Note)]) == [1, 2]
    undo(desk, "redo")
    assert seen(desk, lambda world: [note.place for note in world.rows(Note)]) == [2]


def test_rows_that_refer_to_each_other_are_undone_in_any_order(desk: Callable[..., Outcome]) -> None:
    def fill(world: Desk) -> None:
        world.rows(Folder).add(name="in")
        world.rows(Page).add(folder="in")

    def clear(world: Desk) -> None:
        (folder,) = world.rows(Folder)  # read first, removed last
        (page,) = world.rows(Page)
        world.rows(Page).remove(page)
        world.rows(Folder).remove(folder)

    def count() -> tuple[int, int]:
        found: tuple[int, int] = seen(desk, lambda world: (len(world.rows(Folder)), len(world.rows(Page))))
        return found

    desk(fill)
    desk(clear)
    assert count() == (0, 0)
    for name, expected in (("undo", (1, 1)), ("undo", (0, 0)), ("redo", (1, 1)), ("redo", (0, 0))):
        undo(desk, name)
        assert count() == expected


# declarations


def table(name: str, space: dict[str, Any], module: str = __name__) -> type[Row]:
    """A Row class made here, with a key of its own."""
    hints = {"id": int, **space.pop("__annotations__", {})}
    body = {"__module__": module, "__annotations__": hints, "id": Field(primary_key=True), **space}
    return new_class(name, (Row,), {"table": True}, lambda namespace: namespace.update(body))


def test_columns_that_the_journal_cannot_keep_are_refused() -> None:
    photo = table("Photo", {"__annotations__": {"picture": bytes}})
    price = table("Price", {"__annotations__": {"amount": Decimal}})
    weight = table("Weight", {"__annotations__": {"grams": float}})
    with pytest.raises(DefinitionError, match=r"Photo.picture holds bytes, which the journal's JSON cannot") as raised:
        check_row(photo)
    assert "base64" in str(raised.value)
    with pytest.raises(DefinitionError, match=r"Price.amount is a Decimal") as raised:
        check_row(price)
    assert "Keep an int in the smallest unit" in str(raised.value)
    check_row(weight)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("worlds.cart", "cart__cart_line"),
        ("cart", "cart__cart_line"),
        ("__main__", "main__cart_line"),
        ("acme.shop.rows", "acme_shop_rows__cart_line"),
        ("acme.depot.rows", "acme_depot_rows__cart_line"),
    ],
)
def test_table_is_named_after_its_whole_module(module: str, name: str) -> None:
    assert table_name(type("CartLine", (), {"__module__": module})) == name


def test_table_name_that_is_too_long_or_taken_is_refused() -> None:
    long = table("R" + "r" * (64 - len("long__") - 1), {}, "long")
    with pytest.raises(DefinitionError, match=r"has 64 characters; databases take 63. Give it a shorter one"):
        check_row(long)
    table("Twice", {}, "pair")
    with pytest.raises(DefinitionError, match=r"there is a table turnkeeper already"):
        table("Own", {"__tablename__": "turnkeeper"})
    with pytest.raises(DefinitionError, match=r"there is a table pair__twice already. Name the class otherwise"):
        table("Twice", {}, "pair")


def test_what_is_no_row_class_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"rows= names <class 'int'>, which is no Row class"):
        check_row(int)  # type: ignore[arg-type]
