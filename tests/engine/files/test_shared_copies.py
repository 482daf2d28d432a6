"""Shared rows in a session's file: copies of the public ones it refers to, to look at and for nothing else."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Field

from engine import Change, Row, SharedRow, World, action
from engine.dispatch import Dispatcher
from engine.files.opening import open_file
from engine.operations import Call
from engine.types import Outcome
from tests.engine.files.gardens import ANN, BEN, Make


class Seed(SharedRow, table=True):
    """What is in the seed bank, for all to see."""

    __public__ = True
    name: str = Field(primary_key=True)
    left: int


class Deal(SharedRow, table=True):
    """What was paid, for nobody to see."""

    number: int = Field(primary_key=True)
    secret: str


class Wish(Row, table=True):
    """What a gardener wants to sow."""

    name: str = Field(primary_key=True)


def stock() -> Iterable[SharedRow]:
    yield from (Seed(name=name, left=10) for name in ("dill", "kale", "leek", "mint"))
    yield Deal(number=1, secret="under the counter")


class Sowing(World, rows=[Wish], shared=[Seed, Deal], seed=stock):
    """One gardener's wishes."""

    @action
    def want(self, name: str) -> None:
        """Wish for seeds."""
        self.rows(Wish).add(name=name)

    @action(compensate="bring")
    def take(self, name: str) -> None:
        """Take seeds."""
        for seed in self.shared(Seed).lock_all(name=name):
            seed.left -= 1
        for deal in self.shared(Deal).lock_all():
            deal.secret += f", {name}"

    @action(read_only=True)
    def look(self) -> list[int]:
        """What is left of each."""
        return [seed.left for seed in self.shared(Seed)]

    def bring(self, change: Change) -> None:
        for seed in self.shared(Seed).lock_all():
            seed.left += any(row.after and row.after.get("name") == seed.name for row in change.shared)


SEEDS, DEALS = str(Seed.__tablename__), str(Deal.__tablename__)


def act(dispatcher: Dispatcher, action: str, **arguments: Any) -> Outcome:
    return dispatcher.dispatch(Call(principal=ANN, world="sowing", action=action, arguments=arguments))


@pytest.fixture
def sowing(dispatcher_of: Make, tmp_path: Path) -> tuple[Dispatcher, Path]:
    """A store in which Ann wished for dill and took kale, and her file."""
    dispatcher, path = dispatcher_of(Sowing), tmp_path / "sowing.db"
    session = act(dispatcher, "want", name="dill").session
    act(dispatcher, "take", name="kale")
    dispatcher.dispatch(Call(principal=BEN, world="sowing", action="take", arguments={"name": "mint"}))
    dispatcher.export(ANN, session, path)
    return dispatcher, path


def test_public_rows_that_the_session_changed_or_names_go_along(sowing: tuple[Dispatcher, Path]) -> None:
    with open_file(sowing[1]) as file:
        shape = file.worlds[SEEDS]
        assert [shape.image(row) for row in file.rows(shape)] == [
            {"name": "dill", "left": 10},
            {"name": "kale", "left": 9},
        ]
        assert file.about["shared"] == [SEEDS]
        shared = [
            json.loads(found)
            for (found,) in file.connection.execute("select shared from journal where shared is not null")
        ]
    assert shared == [[[SEEDS, {"name": "kale", "left": 10}, {"name": "kale", "left": 9}]]]


def test_rows_that_are_not_public_stay_behind(sowing: tuple[Dispatcher, Path]) -> None:
    dispatcher, path = sowing
    assert b"under the counter" not in path.read_bytes() and DEALS.encode() not in path.read_bytes()
    answer = dispatcher.query(ANN, dispatcher.main(ANN, "sowing"), f"select count(*) from {SEEDS}")
    assert answer.rows == ((2,),)


def test_imported_session_takes_nothing_from_what_is_shared(
    sowing: tuple[Dispatcher, Path], dispatcher_of: Make
) -> None:
    _, path = sowing
    other = dispatcher_of(Sowing, file="other.db")
    session = other.import_file(ANN, path).session
    assert other.read(Call(principal=ANN, world="sowing", action="look", session=session)).value == [10, 10, 10, 10]
    assert [entry["action"] for entry in other.history(ANN, session)] == ["start", "want", "take"]
    undone = other.dispatch(Call(principal=ANN, world="sowing", action="undo", session=session))
    assert undone.value == {"revision": 3, "action": "take"}
    assert other.read(Call(principal=ANN, world="sowing", action="look", session=session)).value == [10, 10, 10, 10]


def test_import_leaves_shared_rows_as_they_are(sowing: tuple[Dispatcher, Path], dispatcher_of: Make) -> None:
    dispatcher, path = sowing
    before = dispatcher.read(Call(principal=ANN, world="sowing", action="look")).value
    dispatcher.import_file(ANN, path)
    assert dispatcher.read(Call(principal=ANN, world="sowing", action="look")).value == before
