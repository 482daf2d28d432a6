"""What an action leaves: a document and an answer that can be stored and read again, or nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, Field
from sqlmodel import Field as Column

from engine import Row, World, action
from engine.dispatch import Dispatcher
from engine.errors import InvalidArguments, Refused
from engine.operations import Call
from engine.types import LOCAL

Make = Callable[..., Dispatcher]


class Purse(BaseModel):
    coins: int = Field(3, ge=0)
    weight: float = 1.0
    alias_it: int = Field(1, alias="aliasIt")


class Weighed(Row, table=True):
    """Something put on the scales."""

    grams: int = Column(primary_key=True)


class Purses(World, rows=[Weighed]):
    """A purse that cannot owe."""

    data: Purse

    @action
    def spend(self, coins: int) -> int:
        """Spend some coins."""
        self.data.coins -= coins
        return self.data.coins

    @action
    def stretch(self) -> None:
        """Make it infinitely heavy."""
        self.data.weight = float("inf")

    @action
    def count(self) -> int:
        """Count one up."""
        self.data.alias_it += 1
        return self.data.alias_it

    @action
    def lie(self) -> int:
        """Return what was not declared."""
        self.data.coins = 0
        return "many"  # type: ignore[return-value]

    @action
    def lose(self) -> None:
        """Lose the document."""
        self.data = None  # type: ignore[assignment]

    @action
    def weigh(self, grams: float) -> None:
        """Keep a number that no database can hold."""
        self.rows(Weighed).add(grams=int(grams))


def do(dispatcher: Dispatcher, name: str, **arguments: Any) -> Any:
    """What an action answers."""
    return dispatcher.dispatch(Call(principal=LOCAL, world="purses", action=name, arguments=arguments)).value


def test_a_document_that_would_break_its_own_rules_is_refused_and_the_session_goes_on(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Purses)
    assert do(dispatcher, "spend", coins=1) == 2
    with pytest.raises(Refused, match=r"document would be broken: coins: Input should be greater than or equal to 0"):
        do(dispatcher, "spend", coins=5)
    with pytest.raises(Refused, match="document would be broken: weight"):
        do(dispatcher, "stretch")
    assert do(dispatcher, "spend", coins=2) == 0


def test_a_field_with_an_alias_is_kept(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Purses)
    assert [do(dispatcher, "count"), do(dispatcher, "count")] == [2, 3]


def test_an_answer_of_another_type_than_declared_changes_nothing(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Purses)
    with pytest.raises(TypeError, match="did not return what it declares"):
        do(dispatcher, "lie")
    assert do(dispatcher, "spend", coins=1) == 2


def test_a_document_cannot_be_replaced_by_something_else(dispatcher_of: Make) -> None:
    with pytest.raises(TypeError, match="data must stay a Purse"):
        do(dispatcher_of(Purses), "lose")


def test_a_number_too_large_for_the_database_is_refused_by_name(dispatcher_of: Make) -> None:
    with pytest.raises(InvalidArguments, match="too large for the database"):
        do(dispatcher_of(Purses), "weigh", grams=1e20)
