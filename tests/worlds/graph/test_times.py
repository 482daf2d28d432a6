"""The two times that a read of a graph takes, as callers give them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from engine import World, action
from engine.dispatch import Dispatcher
from engine.errors import InvalidArguments, Refused
from engine.operations import Call
from engine.retention import prune
from engine.types import LOCAL
from worlds.graph.facts import Fact, Import, entity
from worlds.graph.memory.entities import everything
from worlds.graph.times import AsOf, ValidAt, moment, view_of


class Told(World, name="told", rows=[Fact, Import]):
    """A graph that takes a name at a time."""

    @action
    def tell(self, name: str) -> None:
        self.rows(Fact).add(**entity(name, "thing"))

    @action(read_only=True)
    def names(self, as_of: AsOf = None, valid_at: ValidAt = None) -> list[str]:
        return [one["name"] for one in everything(view_of(self, as_of, valid_at))["entities"]]


def do(told: Dispatcher, action: str, **arguments: Any) -> Any:
    return told.dispatch(Call(principal=LOCAL, world="told", action=action, arguments=arguments)).value


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("2026", "2026-01-01T00:00:00.000000+00:00"),
        (" 2026-05 ", "2026-05-01T00:00:00.000000+00:00"),
        ("0005-02-03", "0005-02-03T00:00:00.000000+00:00"),
        ("2026-05-03T12:00", "2026-05-03T12:00:00.000000+00:00"),
        ("2026-05-03T12:00:00.5+02:00", "2026-05-03T10:00:00.500000+00:00"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000000+00:00"),
    ],
)
def test_a_time_is_the_first_instant_of_what_is_named(given: str, meant: str) -> None:
    assert moment(given) == meant


@pytest.mark.parametrize(
    "given",
    ["", "today", "0000", "10000", "2026-13", "2026-02-30", "0001-01-01T00:00+05:00", "9999-12-31T23:00-05:00", "٢٠٢٦"],
)
def test_what_is_no_time_is_refused_with_what_is_right(given: str) -> None:
    with pytest.raises(ValueError, match="is no time; give a year, month or day such as 2026-05-03"):
        moment(given)


def test_a_graph_is_read_as_it_was_recorded_at_a_revision_or_a_time(dispatcher_of: Callable[..., Dispatcher]) -> None:
    told = dispatcher_of(Told)
    times = []
    for name in "abcde":
        do(told, "tell", name=name)
        times.append(told.store.now())
    for revision, names in enumerate(["", "a", "ab", "abc", "abcd", "abcde"], 1):
        assert do(told, "names", as_of=revision) == list(names)
    for time, names in zip(times, ["a", "ab", "abc", "abcd", "abcde"], strict=True):
        assert do(told, "names", as_of=time.isoformat()) == list(names)
        shifted = time.astimezone().isoformat(timespec="microseconds")
        assert do(told, "names", as_of=shifted) == list(names)


def test_what_was_not_recorded_is_refused_by_name(dispatcher_of: Callable[..., Dispatcher]) -> None:
    told = dispatcher_of(Told)
    do(told, "tell", name="a")
    soon = (told.store.now() + timedelta(hours=1)).isoformat()
    for as_of, rule, says in (
        (3, "no_such_revision", "no revision 3 yet"),
        (soon, "not_yet", "still to come"),
        ("2020", "before_start", "no such session yet. It was started at"),
    ):
        with pytest.raises(Refused, match=says) as caught:
            do(told, "names", as_of=as_of)
        assert caught.value.rule == rule
    for wrong, says in ((0, "numbered from 1 on"), ("12", "'12' is no time.* a number without quotes")):
        with pytest.raises(InvalidArguments, match=says):
            do(told, "names", as_of=wrong)
    with pytest.raises(InvalidArguments, match=r"valid_at: .*'soon' is no time"):
        do(told, "names", valid_at="soon")


def test_the_past_that_is_no_longer_kept_is_refused(dispatcher_of: Callable[..., Dispatcher]) -> None:
    told, day = dispatcher_of(Told), timedelta(days=1)
    start = told.store.now()
    for name in "abcde":
        told.store.offset += day
        do(told, "tell", name=name)
    prune(told.store, 2.5 * day)
    assert do(told, "names", as_of=4) == ["a", "b", "c"]
    for gone in (2, (start + 1.5 * day).isoformat()):
        with pytest.raises(Refused, match="from revision 3 of") as caught:
            do(told, "names", as_of=gone)
        assert caught.value.rule == "past_removed"
