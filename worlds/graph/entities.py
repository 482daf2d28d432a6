"""Entities and relations as the memory server shows them, in the order they were told."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, TypedDict

from sqlmodel import col

from worlds.graph.contract import EntityTold, RelationTold
from worlds.graph.facts import Fact, Kind, nth
from worlds.graph.replies import Reader, too_large
from worlds.graph.view import View, chunks


class Found(TypedDict):
    """A part of a graph."""

    entities: list[EntityTold]
    relations: list[RelationTold]


Place = tuple[int, str]
"""An entity: the number of its name, and which it is of those that were told of by that name at once."""

LEAST = 10
"""Bytes that a fact takes in an answer, at least."""
ENTITY = (Fact.id, Fact.node, Fact.subject, Fact.type)
OBSERVATION = (Fact.id, Fact.node, Fact.subject, Fact.type, Fact.object)
RELATION = (Fact.id, Fact.node, Fact.subject, Fact.type, Fact.target, Fact.object)
WHAT = ((Kind.ENTITY, ENTITY), (Kind.OBSERVATION, OBSERVATION), (Kind.RELATION, RELATION))


def everything(view: View) -> Found:
    """The whole graph. Raises Refused if that is more than an answer holds."""
    entities, observations, relations = (
        _within(view, _all(view, kind, columns), "read_graph") for kind, columns in WHAT
    )
    return {"entities": [*_entities(view, entities, observations).values()], "relations": _relations(view, relations)}


def around(
    view: View,
    numbers: Collection[int],
    fits: Callable[[int, EntityTold], bool] = lambda number, entity: True,
    *,
    tool: Reader,
) -> Found:
    """The entities of these numbers that fit, and the relations from and to them. Raises Refused like `everything`."""
    entities, observations = (
        _within(view, _about(view, kind, columns, Fact.node, numbers), tool) for kind, columns in WHAT[:2]
    )
    found = _entities(view, entities, observations)
    shown = {place: entity for place, entity in found.items() if fits(place[0], entity)}
    here = {number for number, _ in shown}
    ends = [row for end in (Fact.node, Fact.target) for row in _about(view, Kind.RELATION, RELATION, end, here)]
    relations = _within(view, {row[0]: row for row in ends}.values(), tool)
    return {"entities": [*shown.values()], "relations": _relations(view, relations)}


def _all(view: View, kind: Kind, columns: tuple[Any, ...]) -> Iterable[Any]:
    return view.select(*columns, where=(col(Fact.kind) == kind.value,), most=_most(view) + 1)


def _about(view: View, kind: Kind, columns: tuple[Any, ...], end: Any, numbers: Collection[int]) -> Iterator[Any]:
    for some in chunks(view.all_names(numbers)):
        where = (col(Fact.kind) == kind.value, col(end).in_(some))
        yield from view.select(*columns, where=where, most=_most(view) + 1)


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


def _entities(view: View, entities: Iterable[Any], observations: Iterable[Any]) -> dict[Place, EntityTold]:
    """Entities with what was observed of them. Those that were merged are one, and what both had it has once."""
    found: dict[Place, EntityTold] = {}
    told_of: Counter[int] = Counter()
    for _, number, name, type in entities:
        told_of[number] += 1
        stands, which = view.standing_for(number, name), nth(told_of[number])
        entity = found.setdefault((stands.node, which), {"name": stands.name, "entityType": type, "observations": []})
        if number == stands.node:
            entity["entityType"] = type
    first: dict[Any, int] = {}
    for _, number, name, which, text in observations:
        stands = view.standing_for(number, name)
        place = (stands.node, which) if (stands.node, which) in found else (stands.node, nth(1))
        if place in found and first.setdefault((place, text), number) == number:
            found[place]["observations"].append(text)
    return found


def _relations(view: View, rows: Iterable[Any]) -> list[RelationTold]:
    """Relations between what their names stand for; those that coincide by that are one."""
    found: list[RelationTold] = []
    first: dict[Any, Any] = {}
    for _, number, name, type, other, other_name in rows:
        source, target = view.standing_for(number, name), view.standing_for(other, other_name)
        if first.setdefault((source.node, type, target.node), (number, other)) == (number, other):
            found.append({"from": source.name, "to": target.name, "relationType": type})
    return found
