"""Whether a database fits the process: it says so, and what is wrong if not."""

from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlmodel import Field

from engine import Row, World, action
from engine.dispatch import Dispatcher
from engine.health import Health
from engine.migrate import upgrade


class Bed(Row, table=True):
    """A bed of a garden."""

    number: int = Field(primary_key=True)
    plant: str = ""


class Garden(World, rows=[Bed]):
    """A garden without migrations."""

    @action
    def dig(self) -> None:
        """Dig."""


def changed(dispatcher: Dispatcher, statement: str) -> Health:
    """The health of a database to which that was done."""
    health = Health(dispatcher.store, dispatcher.registry.worlds.values())
    assert health.problem() is None
    with dispatcher.store.connection() as connection:
        connection.execute(text(statement))
    return health


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("update turnkeeper_version set version_num = 'from_the_future'", "ahead of this process: core is at from_the"),
        ("update turnkeeper_version set version_num = '0001_core'", "behind this process: core is at 0001_core. Run"),
        ("delete from turnkeeper_version", "behind this process: core is at nothing"),
        ("alter table tests_engine_test_health__bed drop column plant", "test_health__bed lacks plant"),
        ("drop table tests_engine_test_health__bed", "test_health__bed lacks number, plant, session_id"),
    ],
)
def test_a_database_that_does_not_fit_is_a_problem(
    dispatcher_of: Callable[..., Dispatcher], statement: str, problem: str
) -> None:
    dispatcher = dispatcher_of(Garden)
    assert problem in (changed(dispatcher, statement).problem() or "")


def test_a_database_that_was_brought_up_to_date_is_well_again(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Garden)
    health = changed(dispatcher, "drop table tests_engine_test_health__bed")
    assert health.problem() is not None
    upgrade(dispatcher.store, dispatcher.registry.worlds.values())
    assert health.problem() is None
