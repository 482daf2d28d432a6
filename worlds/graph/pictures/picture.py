"""Which part of a graph a picture shows: what is around an entity, or the whole of a small graph."""

from collections.abc import Collection, Sequence
from heapq import nlargest

from sqlmodel import col

from engine import Refused
from worlds.graph.facts import Fact, Kind
from worlds.graph.pictures.drawing import svg
from worlds.graph.pictures.plan import Node, Part, name_of
from worlds.graph.recalled import NEVER, recalled
from worlds.graph.survey.shape import PAGE, Shape, names_of, shape_of
from worlds.graph.survey.structure import HASTY, STEPS, ranks
from worlds.graph.times import short
from worlds.graph.view import View, chunks, instant

MOST, LINES = 60, 300
"""Names and relations that a picture shows."""
READ = 5_000
"""Relations that are read to find what is around a name, at each distance."""


def around(view: View, name: str) -> str:
    """A picture of what is nearest to a name. Raises Refused."""
    asked = view.named(name)
    numbers, left_out, all_seen = _nearest(view, asked.node)
    part = _part(view, numbers, asked.node, left_out, all_seen)
    if not part.relations and part.nodes[0].type is None:
        raise Refused(
            "no_such_entity", f"There is nothing about {name[:200]!r}.", hint="Names are spelt as they were told."
        )
    return svg(part, f"What is around {name_of(asked.name)}{_when(view)}")


def whole(view: View, seconds: float | None = None, page: int = PAGE) -> str:
    """A picture of the whole graph, read within a time, so much at once; of a larger one, of its hubs."""
    shape = shape_of(view, seconds, page)
    return recalled(
        view, lambda: _whole(view, shape), "picture", _when(view), size=len if shape.whole else lambda _: NEVER
    )


def _whole(view: View, shape: Shape) -> str:
    numbers: Sequence[int] = shape.numbers
    if len(numbers) > MOST:
        scores = ranks(shape.neighbours, STEPS if shape.whole else STEPS // HASTY).scores
        foremost = nlargest(MOST, range(len(numbers)), key=scores.__getitem__)
        numbers = [numbers[place] for place in foremost]
    part = _part(view, numbers, None, len(shape.numbers) - len(numbers), shape.whole)
    return svg(part, f"The graph{_when(view)}")


def _when(view: View) -> str:
    held = "" if view.valid_at == instant(view.graph.now) else f", as it held at {short(view.valid_at)}"
    return f", at revision {view.graph.revision if view.as_of is None else view.as_of}{held}"


def _nearest(view: View, start: int) -> tuple[list[int], int, bool]:
    """What is nearest to a name, how many more were seen, and whether all there is was."""
    found, ring, seen, complete = {start: None}, [start], 0, True
    while ring and len(found) < MOST:
        near, all_read = _related(view, ring)
        complete = complete and all_read
        new = [number for number in near if number not in found]
        seen = max(len(new) - (MOST - len(found)), 0)
        ring = new[: MOST - len(found)]
        found |= dict.fromkeys(ring)
    if ring and not seen:  # it was full, and what is further away was not looked at
        seen = sum(number not in found for number in _related(view, ring)[0])
        complete = not seen
    return list(found), seen, complete


def _related(view: View, numbers: Sequence[int]) -> tuple[list[int], bool]:
    """What names are related to, in the order it was told, and whether all of it was read."""
    stands = {number: name.node for number, name in view.aliases.items()}
    own, near, complete = set(numbers), dict[int, None](), True
    for some in chunks(view.all_names(numbers)):
        told = view.touching(Fact.id, Fact.node, Fact.target, nodes=some, kinds=(Kind.RELATION,), most=READ)
        complete = complete and len(told) < READ
        for _, *ends in told:
            near |= {stands.get(end, end): None for end in ends if stands.get(end, end) not in own}
    return list(near), complete


def _part(view: View, numbers: Sequence[int], asked: int | None, left_out: int, complete: bool) -> Part:
    """The names and what relates them."""
    names = names_of(view, numbers)
    types = _types(view, numbers)
    place = {number: at for at, number in enumerate(numbers)}
    nodes = [Node(names.get(number, ""), types.get(number)) for number in numbers]
    relations = [(place[source], type, place[target]) for source, type, target in _among(view, numbers)]
    said = [f"{'' if complete else 'at least '}{left_out:,} more names are left out"] if left_out else []
    if not complete and not left_out:
        said.append("there was no time to read all of the graph")
    if len(relations) > LINES:
        said.append(f"{len(relations) - LINES:,} more relations are left out")
    return Part(nodes, relations[:LINES], None if asked is None else place[asked], said)


def _types(view: View, numbers: Collection[int]) -> dict[int, str]:
    """The types of those that are entities, by what they stand for."""
    stands = {number: name.node for number, name in view.aliases.items()}
    types: dict[int, str] = {}
    wanted = view.all_names(numbers)
    found = sorted(view.about(Fact.node, Fact.type, nodes=wanted, kind=Kind.ENTITY), key=lambda row: row[0] in stands)
    for number, type in found:
        types.setdefault(stands.get(number, number), type)
    return types


def _among(view: View, numbers: Collection[int]) -> list[tuple[int, str, int]]:
    """The relations between names, each once, in the order they were told."""
    stands = {number: name.node for number, name in view.aliases.items()}
    wanted = view.all_names(numbers)
    found: dict[tuple[int, str, int], None] = {}
    for some in chunks(wanted):
        for others in chunks(wanted):
            where = (col(Fact.kind) == Kind.RELATION.value, col(Fact.node).in_(some), col(Fact.target).in_(others))
            for source, type, target in view.select(Fact.node, Fact.type, Fact.target, where=where):
                found[stands.get(source, source), type, stands.get(target, target)] = None
    return list(found)
