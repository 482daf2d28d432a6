"""Relations as they are shown: what was told, between what names stand for."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import col

from worlds.graph.facts import Fact, Kind
from worlds.graph.naming import brief
from worlds.graph.view import View, chunks
from worlds.graph.walks.several import cost_of
from worlds.graph.walks.ways import Ways

COLUMNS: tuple[Any, ...] = (Fact.id, Fact.node, Fact.subject, Fact.type, Fact.target, Fact.object, Fact.weight)


class Relation(BaseModel):
    """A relation, as it was told; `id` is the fact's."""

    model_config = ConfigDict(populate_by_name=True)

    id: int
    source: str = Field(alias="from")
    relationType: str
    target: str = Field(alias="to")
    weight: float | None = None

    def seen_from(self, name: str) -> str:
        """How it reads on the way from a name."""
        return f"–{self.relationType}→" if self.source == name else f"←{self.relationType}–"


@dataclass(frozen=True, slots=True)
class Shown:
    """A relation between what its names stand for, by number."""

    source: int
    target: int
    relation: Relation


def shown(view: View, row: Sequence[Any]) -> Shown:
    """A fact, of which `COLUMNS` were read, as a relation."""
    id, number, name, type, other, other_name, weight = row
    source, target = view.standing_for(number, name), view.standing_for(other, other_name)
    ends = brief(source.name), brief(target.name)
    told = Relation(id=id, source=ends[0], relationType=type, target=ends[1], weight=weight)
    return Shown(source.node, target.node, told)


def by_id(view: View, ids: Collection[int], read: Mapping[int, Any] = MappingProxyType({})) -> Mapping[int, Shown]:
    """Relations by their facts, of which some may have been read."""
    missing = [id for id in ids if id not in read]
    rows = {row[0]: row for some in chunks(missing) for row in view.select(*COLUMNS, where=(col(Fact.id).in_(some),))}
    return {id: shown(view, read[id] if id in read else rows[id]) for id in ids}


def among(
    view: View, numbers: Collection[int], ways: Ways, most: int | None = None, *, once: bool = True
) -> Iterator[Shown]:
    """The relations of the wanted types among names, in the order told; those that are equal by an alias `once`."""
    members = view.all_names(numbers)
    types = () if ways.types is None else (col(Fact.type).in_(sorted(ways.types)),)
    rows: list[Any] = []
    for sources in chunks(members):
        for targets in chunks(members):
            ends = (col(Fact.node).in_(sources), col(Fact.target).in_(targets))
            where = (col(Fact.kind) == Kind.RELATION.value, *ends, *types)
            rows += view.select(*COLUMNS, where=where, most=most)
    seen: dict[tuple[int, str, int], tuple[int, int]] = {}
    for row in sorted(rows, key=lambda row: row[0]):
        found, told = shown(view, row), (row[1], row[4])
        if not once or seen.setdefault((found.source, row[3], found.target), told) == told:
            yield found


def on_the_way(shown: Sequence[Shown], one: int, other: int, ways: Ways, *, cheapest: bool) -> list[Relation]:
    """The relations by which one comes from a name to another: the first told first, or the cheapest."""
    found = [
        each.relation
        for each in shown
        if (ways.along and (each.source, each.target) == (one, other))
        or (ways.against and (each.target, each.source) == (one, other))
    ]
    return sorted(found, key=lambda one: (cost_of((0, 0, one.id, one.weight)) if cheapest else 0, one.id))
