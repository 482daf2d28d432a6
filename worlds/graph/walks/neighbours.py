"""Neighbours: what a name is related to, near and less near, each with the relation that leads there."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from engine import World
from worlds.graph.cursors import cursor, resumed
from worlds.graph.naming import brief, known, types_of
from worlds.graph.times import view_of
from worlds.graph.view import Name, View
from worlds.graph.walks.reach import Ball, Bounds, Stopped
from worlds.graph.walks.relations import Relation, by_id
from worlds.graph.walks.walking import Near, far
from worlds.graph.walks.ways import Ways

NAMES, SECONDS = 100_000, 1.5
"""Names that a search comes to, and seconds that it takes, at most."""

FEW = 500
"""Names from which the next ones are asked of the database."""


class Neighbour(BaseModel):
    """What one comes to from a name, and how."""

    name: str
    entityType: str | None = Field(description="null for a name that relations use and that is no entity")
    distance: int
    relation: Relation = Field(description="which leads there; of several from nearer names, the one told first")
    others: int = Field(description="how many other facts lead there from nearer names")


class Neighbours(BaseModel):
    """A page of what is near a name: by distance, then in the order it was told."""

    revision: int
    name: str
    entityType: str | None
    total: int = Field(description="how many there are in all")
    stopped: str | None = Field(default=None, description="if the search stopped early: when; there may be more then")
    neighbours: list[Neighbour]
    left_out: int = Field(description="how many come after this page")
    next: str | None = Field(default=None, description="what to give as cursor for the next page")

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def neighbours(
    graph: World,
    name: str,
    depth: int,
    ways: Ways,
    entity_types: Sequence[str] | None,
    limit: int,
    after: str | None,
    as_of: int | str | None,
    valid_at: str | None,
) -> Neighbours:
    """A page of what is near a name. Raises Refused."""
    asked = (name, depth, ways.direction, ways.types, entity_types, as_of, valid_at)
    view, offset = (view_of(graph, as_of, valid_at), 0) if after is None else resumed(graph, after, *asked)
    steps = Near(view, ways)
    ball, stopped = _around(view, view.named(name), depth, steps)
    start = view.named(name) if len(ball.distance) > 1 else known(view, name)
    found = [number for number in ball.distance if number != start.node]
    ordered = sorted(found, key=lambda number: (ball.distance[number], ball.came[number], number))
    types = {} if entity_types is None else types_of(view, found)
    fitting = [one for one in ordered if entity_types is None or types.get(one) in entity_types]
    page = fitting[offset : offset + limit]
    types |= types_of(view, [start.node, *page])
    left = max(0, len(fitting) - offset - len(page))
    return Neighbours(
        revision=graph.revision if view.as_of is None else view.as_of,
        name=brief(start.name),
        entityType=types.get(start.node),
        total=len(fitting),
        stopped=stopped,
        neighbours=_shown(view, ball, page, types, steps.rows),
        left_out=left,
        next=cursor(view, offset + len(page), *asked) if left else None,
    )


def _around(view: View, start: Name, depth: int, steps: Near) -> tuple[Ball, str | None]:
    """What is near a name, and if the search stopped before its end, when."""
    ball = Ball(steps, [start.node], Bounds(NAMES, SECONDS))
    try:
        for distance in range(1, depth + 1):
            if len(ball.edge) > FEW and distance > 1:
                (ball.reading,) = far(view, steps.ways)
            if not ball.grow():
                break
    except Stopped as stopped:
        return ball, str(stopped)
    return ball, None


def _shown(
    view: View, ball: Ball, page: Sequence[int], types: dict[int, str], read: Mapping[int, Any]
) -> list[Neighbour]:
    relations = by_id(view, {ball.came[number][0] for number in page}, read)
    found = []
    for number in page:
        told = relations[ball.came[number][0]]
        found.append(
            Neighbour(
                name=told.relation.source if told.source == number else told.relation.target,
                entityType=types.get(number),
                distance=ball.distance[number],
                relation=told.relation,
                others=ball.steps[number] - 1,
            )
        )
    return found


def _lines(found: Neighbours) -> Iterator[str]:
    yield f"{found.name} ({found.entityType or 'no entity'}) has {found.total:,} neighbours:"
    for one in found.neighbours:
        told = one.relation
        other = told.target if told.source == one.name else told.source
        more = f", and {one.others:,} more facts" if one.others else ""
        yield (
            f"  {one.distance}: {one.name} ({one.entityType or 'no entity'}), by"
            f" {other} {told.seen_from(other)} {one.name}{more}"
        )
    if found.left_out:
        yield f"{found.left_out:,} more are left out; give the cursor {found.next} to go on."
    if found.stopped:
        yield f"The search stopped {found.stopped}; there may be more. Ask with less depth or fewer types."
