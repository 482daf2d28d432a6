"""What a call makes of the facts that stand: some end, others are told, and what holds one at a time gives way.

All of it is worked out in memory, and written at the end.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine import Refused, World
from worlds.graph import facts
from worlds.graph.facts import Fact
from worlds.graph.telling.assertions import COLUMNS, Shown, period, said, shown_values
from worlds.graph.telling.places import Place, Places, Values
from worlds.graph.view import View, instant

GIVEN = ("weight", "attributes", "source")
"""What a fact may be told with that is not what it says."""
_NOTHING = {**dict.fromkeys(COLUMNS), "type": "", "words": ""}


@dataclass(slots=True, eq=False)
class Held:
    """A fact that stands in a draft. Without a row, it is told by it."""

    values: dict[str, Any]
    row: Fact | None = None

    @property
    def shown(self) -> Shown:
        """The fact as it is shown, once it is written."""
        return shown_values(0 if self.row is None else self.row.id, self.values)

    @property
    def start(self) -> str | None:
        """Since when it holds."""
        since: str | None = self.values["valid_from"]
        return since

    @property
    def end(self) -> str | None:
        """Until when it holds."""
        until: str | None = self.values["valid_to"]
        return until


class Draft:
    """What stands around some facts, and what becomes of it. `declared` are relation types that now are functional."""

    def __init__(self, graph: World, around: Sequence[Values], declared: Collection[str] = ()) -> None:
        view = View(graph)
        self.graph = graph
        self.now = instant(graph.now)
        self.places = Places(view, view.functional.union(declared))
        self.told: list[Held] = []
        self.ended: list[Fact] = []
        self._held: dict[Place, list[Held]] = {}
        self._asked: set[int] = set()
        for type in sorted(self.places.functional - view.functional):
            self.add(facts.functional(type))
        for row in self.places.standing(around):
            self._place(Held({name: getattr(row, name) for name in COLUMNS}, row))

    def has_entity(self, values: Values) -> bool:
        """Whether there is, at any time, the entity that a fact is about."""
        return bool(self._held.get(self.places.of_entity(values)))

    def of(self, row: Fact) -> Held:
        """A fact that stands, in the draft."""
        return next(one for some in self._held.values() for one in some if one.row is row)

    def tell(self, values: Values) -> Held:
        """Tell a fact, or find it told; what is in its way is cut to the time before and after. Raises Refused."""
        held = self._told(values)
        self._asked.add(id(held))
        return held

    def add(self, values: Values) -> Held:
        """Tell a fact, whatever else was told."""
        held = Held({**_NOTHING, **values})
        self.told.append(held)
        self._place(held)
        return held

    def _told(self, values: Values) -> Held:
        wanted = {**_NOTHING, **values}
        dateless = wanted["valid_from"] is None and wanted["valid_to"] is None
        if (known := self._known(wanted, dateless)) is not None:
            return self._told_again(known, wanted)
        if self.places.is_single(wanted):
            self._give_time(wanted)
            if (known := self._known(wanted, False)) is not None:
                return self._told_again(known, wanted)
            for other in self._in_the_way_of(wanted):
                self._cut(other, wanted)
        return self.add(wanted)

    def shorten(self, held: Held, until: str) -> None:
        """Have a fact hold until then only."""
        self._retime(held, [{"valid_to": until}])

    def finish(self) -> None:
        """Write what was told and what ended; where that is nothing, the call changed nothing."""
        if not self.told and not self.ended:
            self.graph.unchanged()
        rows = self.graph.rows(Fact)
        rows.remove_all(self.ended)
        for held, row in zip(self.told, rows.add_all([one.values for one in self.told]), strict=True):
            held.row = row

    def _known(self, wanted: Values, dateless: bool) -> Held | None:
        """What says the same of the same time, or for one without dates: what says it of now and goes on."""
        same = [one for one in self._at(wanted) if _says(one.values) == _says(wanted)]
        for one in same:
            if (one.start, one.end) == (wanted["valid_from"], wanted["valid_to"]):
                return one
        going_on = (one for one in same if one.end is None and (one.start or "") <= self.now)
        return next(going_on, None) if dateless else None

    def _told_again(self, known: Held, wanted: Values) -> Held:
        """What stands already; told with another weight, attributes or source, it is told anew in its place."""
        given = {name: wanted[name] for name in GIVEN if wanted[name] is not None}
        if all(known.values[name] == value for name, value in given.items()):
            return known
        self._retime(known, [{}])
        known.values |= given
        return known

    def _give_time(self, wanted: dict[str, Any]) -> None:
        """Have what holds one at a time begin now, if it takes another's place undated, and end where the next begins.

        What ended in the past, or is dated, keeps its beginning. Raises Refused if one call says two things of now.
        """
        until = wanted["valid_to"]
        if wanted["valid_from"] is None and (until is None or until > self.now):
            before = self._in_the_way_of(wanted)
            wanted["valid_from"] = self.now if before else None
            if both := [one for one in before if one.start is None and self._is_asked(one) and _overlap(one, wanted)]:
                raise _contradictory(both[0].values, wanted)
        if until is None and (begun := wanted["valid_from"]) is not None:
            later = [one.start for one in self._at(wanted) if one.start is not None and one.start > begun]
            wanted["valid_to"] = min(later, default=None)

    def _in_the_way_of(self, wanted: Values) -> list[Held]:
        return [one for one in self._at(wanted) if _overlap(one, wanted)]

    def _is_asked(self, held: Held) -> bool:
        return id(held) in self._asked

    def _cut(self, other: Held, wanted: Values) -> None:
        """Leave of a fact what is before and after another. Raises Refused if one call says both of one time."""
        start, end = wanted["valid_from"], wanted["valid_to"]
        left = []
        if start is not None and (other.start is None or other.start < start):
            left.append({"valid_to": start})
        if end is not None and (other.end is None or end < other.end):
            left.append({"valid_from": end})
        if not left and self._is_asked(other):
            raise _contradictory(other.values, wanted)
        self._retime(other, left)

    def _retime(self, held: Held, periods: Sequence[Mapping[str, str]]) -> None:
        """Have a fact hold in these periods instead: its row ends, and what is left is told."""
        before = held.values
        if held.row is not None:
            self.ended.append(held.row)
            self.told.append(held)
            held.row = None
        if not periods:
            self._remove(held)
            return
        held.values = {**before, **periods[0]}
        for times in periods[1:]:
            self.add({**before, **times})

    def _remove(self, held: Held) -> None:
        self._at(held.values).remove(held)
        self.told.remove(held)

    def _place(self, held: Held) -> None:
        self._held.setdefault(self.places.of(held.values), []).append(held)

    def _at(self, values: Values) -> list[Held]:
        return self._held.setdefault(self.places.of(values), [])


def tell_in_place(graph: World, told: Sequence[Values]) -> None:
    """Tell facts, those of which there is one at a time in the place of what held before. Raises Refused."""
    draft = Draft(graph, told)
    for fact in told:
        draft.tell(fact) if draft.places.is_single(fact) else draft.add(fact)
    draft.finish()


def _says(values: Values) -> tuple[Any, ...]:
    return values["type"], values["target"]


def _overlap(held: Held, wanted: Values) -> bool:
    return _before(held.start, wanted["valid_to"]) and _before(wanted["valid_from"], held.end)


def _before(start: str | None, end: str | None) -> bool:
    return start is None or end is None or start < end


def _contradictory(one: Values, other: Values) -> Refused:
    first, second = shown_values(0, one), shown_values(0, other)
    when = period(second.valid_from, second.valid_to) or " always"
    return Refused(
        "contradictory",
        f"Both {said(first)[:200]!r} and {said(second)[:200]!r} would hold{when}, of which there is one at a time.",
        hint="Tell one of them, or by assert_facts each with the time when it held: valid_from, valid_to.",
    )
