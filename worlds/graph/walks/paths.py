"""Paths: how two names are related, by the fewest relations or at the least cost."""

from collections.abc import Iterator
from itertools import pairwise

from pydantic import BaseModel, Field

from engine import Refused
from worlds.graph.naming import brief, known
from worlds.graph.view import Name, View
from worlds.graph.walks.reach import Bounds, Stopped
from worlds.graph.walks.relations import Relation, among, by_id, on_the_way
from worlds.graph.walks.several import Ends, Unfit, Way, cheapest_ways, cost_of, shortest_ways
from worlds.graph.walks.walking import far
from worlds.graph.walks.ways import Ways

NAMES, SECONDS = 250_000, 1.5
"""Names that a search comes to, and seconds that it takes, at most."""


class Hop(BaseModel):
    """A relation on a path, and how many others there are by which one could go instead."""

    relation: Relation
    others: int


class Path(BaseModel):
    """Names from the one end to the other, and between each two the relation that leads on."""

    names: list[str]
    hops: list[Hop]
    length: int = Field(description="how many relations")
    cost: float | None = Field(default=None, description="the sum of the weights, where these count")


class Paths(BaseModel):
    """The paths between two names, the shortest or cheapest first."""

    revision: int
    source: str
    target: str
    paths: list[Path]
    certain: bool = Field(description="whether there are no others that are as good or better, or none at all")
    stopped: str | None = Field(default=None, description="where that is not certain: when the search stopped")

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def paths(view: View, source: str, target: str, ways: Ways, *, k: int, weighted: bool, most: int | None) -> Paths:
    """The `k` best paths between two names, of `most` relations at most. Raises Refused."""
    one, other = known(view, source), known(view, target)
    find = cheapest_ways if weighted else shortest_ways
    ends = Ends(one.node, other.node, *far(view, ways, ways.back))
    try:
        found, stopped = _found(find(ends, k, Bounds(NAMES, SECONDS), most))
    except Unfit as unfit:
        raise _no_cost(view, unfit) from None
    return Paths(
        revision=view.graph.revision if view.as_of is None else view.as_of,
        source=brief(one.name),
        target=brief(other.name),
        paths=[_told(view, way, one, ways, weighted) for way in found],
        certain=stopped is None,
        stopped=stopped,
    )


def _found(ways: Iterator[Way]) -> tuple[list[Way], str | None]:
    """The ways that a search finds, and if it stopped before its end, when."""
    found: list[Way] = []
    try:
        found.extend(ways)
    except Stopped as stopped:
        return found, str(stopped)
    return found, None


def _told(view: View, way: Way, start: Name, ways: Ways, weighted: bool) -> Path:
    # Where weights count, each fact does: of relations that are equal by an alias the second may be the cheaper.
    relations = list(among(view, way, ways, once=not weighted)) if len(way) > 1 else []
    names = {one.source: one.relation.source for one in relations}
    names |= {one.target: one.relation.target for one in relations}
    hops = []
    for one, other in pairwise(way):
        first, *others = on_the_way(relations, one, other, ways, cheapest=weighted)
        hops.append(Hop(relation=first, others=len(others)))
    cost = sum(cost_of((0, 0, hop.relation.id, hop.relation.weight)) for hop in hops) if weighted else None
    called = [names.get(number, brief(start.name)) for number in way]
    return Path(names=called, hops=hops, length=len(hops), cost=cost)


def _no_cost(view: View, unfit: Unfit) -> Refused:
    """The refusal of weights that are no costs."""
    told = by_id(view, [unfit.fact])[unfit.fact].relation
    return Refused(
        "no_cost",
        f"{told.source} {told.seen_from(told.source)} {told.target} has the weight {unfit.weight:g}, which is no cost:"
        " a path could be made cheaper for ever.",
        hint="Weights that count as costs are 0 or more, and finite; leave weighted out, or name other types.",
    )


def _lines(found: Paths) -> Iterator[str]:
    if not found.paths:
        certain = "certainly" if found.certain else "as far as was looked"
        yield f"There is no such path from {found.source} to {found.target}, {certain}."
    for path in found.paths:
        cost = "" if path.cost is None else f", cost {path.cost:g}"
        yield f"{path.length} relations{cost}: {''.join(_way(path))}"
    if found.stopped:
        more = "there may be others" if found.paths else "there may be one"
        yield (
            f"The search stopped {found.stopped}; {more}. Ask with a smaller max_length, fewer types or a smaller k,"
            " or look around both ends with neighbours."
        )


def _way(path: Path) -> Iterator[str]:
    yield path.names[0]
    for hop, name, other in zip(path.hops, path.names, path.names[1:], strict=False):
        more = f" (+{hop.others})" if hop.others else ""
        yield f" {hop.relation.seen_from(name)}{more} {other}"
