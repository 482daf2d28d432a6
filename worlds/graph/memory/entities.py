"""Entities and relations as the memory server shows them, in the order they were told."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, TypedDict

from sqlmodel import col

from worlds.graph.facts import Fact, Kind, nth
from worlds.graph.memory.contract import EntityTold, RelationTold
from worlds.graph.memory.replies import Reader, too_large
from worlds.graph.view import View


class Found(TypedDict):
    """A part of a graph."""

    entities: list[EntityTold]
    relations: list[RelationTold]


Place = tuple[int, str]
"""An entity: the number of its name, and which it is of those that were told of by that name at once."""

LEAST = 10
"""Bytes that a fact takes in an answer, at least."""
THINGS = (Kind.ENTITY, Kind.OBSERVATION)
COLUMNS = (Fact.id, Fact.kind, Fact.node, Fact.subject, Fact.type, Fact.target, Fact.object)


def everything(view: View) -> Found:
    """The whole graph. Raises Refused if that is more than an answer holds."""
    things, relations = (_within(view, _all(view, kinds), "read_graph") for kinds in (THINGS, (Kind.RELATION,)))
    return {"entities": [*_entities(view, things).values()], "relations": _relations(view, relations)}


def around(
    view: View,
    numbers: Collection[int],
    fits: Callable[[int, EntityTold], bool] = lambda number, entity: True,
    *,
    tool: Reader,
) -> Found:
    """The entities of these numbers that fit, and the relations from and to them. Raises Refused like `everything`."""
    found = _entities(view, _within(view, _about(view, THINGS, Fact.node, numbers), tool))
    shown = {place: entity for place, entity in found.items() if fits(place[0], entity)}
    here = {number for number, _ in shown}
    ends = [row for end in (Fact.node, Fact.target) for row in _about(view, (Kind.RELATION,), end, here)]
    relations = _within(view, {row[0]: row for row in ends}.values(), tool)
    return {"entities": [*shown.values()], "relations": _relations(view, relations)}


def _all(view: View, kinds: Collection[Kind]) -> Iterable[Any]:
    return view.select(*COLUMNS, where=(col(Fact.kind).in_(kinds),), most=_most(view) + 1)


def _about(view: View, kinds: Collection[Kind], end: Any, numbers: Collection[int]) -> Iterator[Any]:
    return view.about(*COLUMNS, nodes=view.all_names(numbers), kind=kinds, of=end, most=_most(view) + 1)


def _most(view: View) -> int:
    return view.graph.limits.result // LEAST


def _within(view: View, rows: Iterable[Any], tool: Reader) -> list[Any]:
    """Rows in the order they were told, if their texts fit into an answer. Raises Refused."""
    found, left = [], view.graph.limits.result
    for row in rows:
        found.append(row)
        left -= LEAST + sum(len(part) for part in row if isinstance(part, str))
        if left < 0:
            raise too_large(view.graph, tool)
    return sorted(found, key=lambda row: row[0])


def _entities(view: View, things: Sequence[Any]) -> dict[Place, EntityTold]:
    """Entities with what was observed of them. Those that were merged are one, and what both had it has once."""
    found: dict[Place, EntityTold] = {}
    told_of: Counter[int] = Counter()
    for _, kind, number, name, type, *_ in things:
        if kind == Kind.ENTITY.value:
            told_of[number] += 1
            stands, which = view.standing_for(number, name), nth(told_of[number])
            new: EntityTold = {"name": stands.name, "entityType": type, "observations": []}
            entity = found.setdefault((stands.node, which), new)
            if number == stands.node:
                entity["entityType"] = type
    first: dict[Any, int] = {}
    for _, kind, number, name, which, _, text in things:
        if kind == Kind.OBSERVATION.value:
            stands = view.standing_for(number, name)
            place = (stands.node, which) if (stands.node, which) in found else (stands.node, nth(1))
            if place in found and first.setdefault((place, text), number) == number:
                found[place]["observations"].append(text)
    return found


def _relations(view: View, rows: Iterable[Any]) -> list[RelationTold]:
    """Relations between what their names stand for; those that coincide by that are one."""
    found: list[RelationTold] = []
    first: dict[Any, Any] = {}
    for _, _, number, name, type, other, other_name in rows:
        source, target = view.standing_for(number, name), view.standing_for(other, other_name)
        if first.setdefault((source.node, type, target.node), (number, other)) == (number, other):
            found.append({"from": source.name, "to": target.name, "relationType": type})
    return found
