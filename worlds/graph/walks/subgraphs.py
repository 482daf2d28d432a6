"""Parts of a graph: what is near some names, with all relations among that, to read or in a format of files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, Field

from engine import Refused
from worlds.graph.exchange import Format, writer
from worlds.graph.exporting import edges_of, nodes_of
from worlds.graph.naming import QUOTED, brief, several, types_of
from worlds.graph.search.searching import best
from worlds.graph.survey.shape import names_of
from worlds.graph.view import View
from worlds.graph.walks.reach import Ball, Bounds, Stopped
from worlds.graph.walks.relations import Relation, Shown, among
from worlds.graph.walks.walking import Near, far
from worlds.graph.walks.ways import Ways

Written = Format | Literal["json"]
NAMES, SECONDS = 100_000, 1.5
"""Names that a search comes to, and seconds that it takes, at most."""
RELATIONS = 2_000
"""Relations that are shown."""
FEW = 500
"""Names from which the next ones are asked of the database."""


class Member(BaseModel):
    """What is in a part of a graph, and how far from the names that were asked for."""

    name: str
    entityType: str | None = Field(description="null for a name that relations use and that is no entity")
    distance: int


class LeftOut(BaseModel):
    """What is near enough and was left out, and relations that lead from what is shown to what is not."""

    entities: int
    relations: int


class Subgraph(BaseModel):
    """A part of a graph: the nearest of what is near some names, or what was found, and the relations among that."""

    revision: int
    entities: list[Member]
    relations: list[Relation]
    left_out: LeftOut
    found: int | None = Field(
        default=None, description="how many entities fit the query; it starts at the best `limit`"
    )
    at_least: bool = Field(default=False, description="whether more than `found` may fit, as search says it")
    unknown: list[str] = Field(description="names that were asked for and that nothing is called by")
    corrected: dict[str, list[str]] = Field(
        default={}, description="words that nothing has, and what they were read as"
    )
    stopped: str | None = Field(default=None, description="if the search stopped early: when; there may be more then")
    format: Written = "json"
    text: str | None = Field(default=None, description="the part in the format that was asked for, instead of lists")

    def __str__(self) -> str:
        return "\n".join(_lines(self))


@dataclass(frozen=True, slots=True)
class Start:
    """What a part is around: names by number, the most important first; and what is to be said of them."""

    names: dict[int, str]
    found: int | None = None
    at_least: bool = False
    unknown: Sequence[str] = ()
    corrected: Mapping[str, list[str]] = field(default_factory=dict)


def around_names(view: View, names: Sequence[str]) -> Start:
    """What names stand for. Raises Refused if nothing is called by any."""
    found, unknown = several(view, names)
    return Start(found, unknown=unknown)


def around_search(view: View, query: str, most: int) -> Start:
    """The best of what a search finds. Raises Refused."""
    found = best(view, query, (), most)
    names = {one.node: one.name for one in found.entities}
    return Start(names, found.total, not found.complete, corrected=found.corrected)


def start_of(view: View, names: Sequence[str] | None, query: str | None, most: int) -> Start:
    """Around what a part is to be: one of the two that is given. Raises Refused."""
    if names is not None and query is None:
        return around_names(view, names)
    if query is not None and names is None:
        return around_search(view, query, most)
    given = "neither names nor" if query is None else "both names and"
    raise Refused(
        "names_or_query",
        f"Received {given} a query; one of the two says where to begin.",
        hint="Give names of entities that are known, or else a query as search takes it.",
    )


def subgraph(view: View, start: Start, depth: int, ways: Ways, *, limit: int, format: Written) -> Subgraph:
    """The nearest of what is near where it starts, and the relations of the wanted types among that."""
    ball, stopped = _around(view, list(start.names), depth, ways)
    # Stable: what it starts at stays in its order.
    ordered = sorted(ball.distance, key=lambda number: (ball.distance[number], ball.came.get(number, (0, 0))))
    kept = ordered[:limit]
    found = list(among(view, kept, ways))
    called = names_of(view, kept) | {number: name for number, name in start.names.items() if number in kept}
    part = Subgraph(
        revision=view.graph.revision if view.as_of is None else view.as_of,
        entities=[],
        relations=[],
        left_out=LeftOut(
            entities=len(ordered) - len(kept),
            relations=_leading_out(view, kept, ways) + max(0, len(found) - RELATIONS),
        ),
        found=start.found,
        at_least=start.at_least,
        unknown=[brief(name, QUOTED) for name in start.unknown],
        corrected=dict(start.corrected),
        stopped=stopped,
        format=format,
    )
    if format != "json":
        return part.model_copy(update={"text": _written(view, format, called, found[:RELATIONS])})
    types = types_of(view, kept)
    members = [
        Member(name=brief(called[number]), entityType=types.get(number), distance=ball.distance[number])
        for number in kept
    ]
    told = [one.relation for one in found[:RELATIONS]]
    return part.model_copy(update={"entities": members, "relations": told})


def _around(view: View, start: list[int], depth: int, ways: Ways) -> tuple[Ball, str | None]:
    """What is near names, and if the search stopped before its end, when."""
    ball = Ball(Near(view, ways), start, Bounds(NAMES, SECONDS))
    try:
        for _ in range(depth):
            if len(ball.edge) > FEW:
                (ball.reading,) = far(view, ways)
            if not ball.grow():
                break
    except Stopped as stopped:
        return ball, str(stopped)
    return ball, None


def _leading_out(view: View, kept: list[int], ways: Ways) -> int:
    """How many relations lead from what is shown to what is not."""
    here = set(kept)
    both = Ways(types=ways.types)
    return len({fact for _, other, fact, _ in Near(view, both)(kept) if other not in here})


def _written(view: View, format: Format, called: dict[int, str], relations: Sequence[Shown]) -> str:
    """A part of a graph in a format of files."""
    ids = [one.relation.id for one in relations]
    return "".join(writer(format)(nodes_of(view, called), edges_of(view, ids)))


def _lines(part: Subgraph) -> Iterator[str]:
    if part.text is not None:
        yield part.text
    for one in part.entities:
        yield f"{one.name} ({one.entityType or 'no entity'}), distance {one.distance}"
    for relation in part.relations:
        yield f"  {relation.source} –{relation.relationType}→ {relation.target}"
    if part.left_out.entities or part.left_out.relations:
        yield (
            f"Left out: {part.left_out.entities:,} entities, and {part.left_out.relations:,} relations with what is not"
            " shown."
        )
    if part.corrected:
        told = "; ".join(f"{word}: {', '.join(better)}" for word, better in part.corrected.items())
        yield f"Nothing has these words, so others were searched for: {told}."
    if part.found == 0:
        yield "No entity fits the query."
    elif part.found is not None and part.found != sum(one.distance == 0 for one in part.entities):
        more = "At least " if part.at_least else ""
        yield f"{more}{part.found:,} entities fit the query; this starts at the best of them."
    if part.unknown:
        yield f"Nothing is called {', '.join(part.unknown)}."
    if part.stopped:
        yield f"The search stopped {part.stopped}; there may be more. Ask with less depth or fewer types."
