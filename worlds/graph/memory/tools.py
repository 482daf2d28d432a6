"""The nine tools of the memory server that this world stands in for, as functions of a graph.

What each does to a graph, in which order and with which duplicates, is what the memory server does. Names that are
aliases count as what they stand for.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from sqlmodel import col

from engine import Refused, Reply, World
from worlds.graph import facts
from worlds.graph.facts import Fact, Kind
from worlds.graph.memory import replies, substring
from worlds.graph.memory.contract import ContentsTold, EntityTold, ObservationsTold, RelationTold
from worlds.graph.memory.entities import around, everything
from worlds.graph.telling.draft import tell_in_place
from worlds.graph.telling.finding import all_about
from worlds.graph.view import View, chunks

OBSERVED, RELATED = (Kind.OBSERVATION,), (Kind.RELATION,)


def create_entities(graph: World, entities: Sequence[EntityTold]) -> Reply:
    """Tell of entities that there are not yet; which they were. Two of one name in one call are two.

    What was an entity at another time is one from now on. Raises Refused.
    """
    view = View(graph)
    known, ever = _there(view, {entity["name"] for entity in entities})
    new = [entity for entity in entities if view.named(entity["name"]).node not in known]
    told: list[dict[str, object]] = []
    told_of: Counter[str] = Counter()
    for entity in new:
        name = entity["name"]
        told_of[name] += 1
        told.append(facts.entity(name, entity["entityType"]))
        told += [facts.observation(name, text, type=facts.nth(told_of[name])) for text in entity["observations"]]
    if any(view.named(entity["name"]).node in ever for entity in new):
        tell_in_place(graph, told)
    else:
        _tell(graph, told)
    return replies.reply(new, "entities")


def create_relations(graph: World, relations: Sequence[RelationTold]) -> Reply:
    """Tell of relations that there are not yet, whether or not there is what they relate; which they were.

    One of a functional type closes what held before it. Raises Refused: contradictory.
    """
    view = View(graph)
    wanted = [_triple(view, relation) for relation in relations]
    known = {_triple_of(view, fact) for fact in _standing(view, RELATED, *_ends(wanted))}
    new = []
    for relation, triple in zip(relations, wanted, strict=True):
        if triple not in known:
            new.append(relation)
            known |= {triple} if relation["relationType"] in view.functional else set()
    told = [facts.relation(one["from"], one["relationType"], one["to"]) for one in new]
    if any(one["relationType"] in view.functional for one in new):
        tell_in_place(graph, told)
    else:
        _tell(graph, told)
    return replies.reply(new, "relations")


def add_observations(graph: World, observations: Sequence[ContentsTold]) -> Reply:
    """Tell what was observed of entities and was not known; what that was, for each. Raises Refused."""
    view = View(graph)
    there, _ = _there(view, {one["entityName"] for one in observations})
    known = _observed(view, there, {text for one in observations for text in one["contents"]})
    told, results = [], []
    for one in observations:
        name, number = one["entityName"], view.named(one["entityName"]).node
        if number not in there:
            raise Refused("no_such_entity", f"Entity with name {name} not found")
        added = [text for text in one["contents"] if (number, text) not in known]
        known |= {(number, text) for text in added}
        told += [facts.observation(name, text) for text in added]
        results.append({"entityName": name, "addedObservations": added})
    _tell(graph, told)
    return replies.reply(results, "results")


def delete_entities(graph: World, names: Sequence[str]) -> Reply:
    """End all that stands of entities, whenever it held: with their observations, relations and other names."""
    view = View(graph)
    _end(graph, all_about(view, view.all_names({view.named(name).node for name in names})).values())
    return replies.done("Entities")


def delete_observations(graph: World, deletions: Sequence[ObservationsTold]) -> Reply:
    """End what was observed of entities, all that is equal."""
    view = View(graph)
    wanted = {(view.named(one["entityName"]).node, text) for one in deletions for text in one["observations"]}
    found = _standing(view, OBSERVED, {number for number, _ in wanted}, {facts.node(text) for _, text in wanted})
    _end(graph, [fact for fact in found if not fact.type and (_number(view, fact), fact.object) in wanted])
    return replies.done("Observations")


def delete_relations(graph: World, relations: Sequence[RelationTold]) -> Reply:
    """End relations, all that are equal."""
    view = View(graph)
    wanted = {_triple(view, relation) for relation in relations}
    _end(graph, [fact for fact in _standing(view, RELATED, *_ends(wanted)) if _triple_of(view, fact) in wanted])
    return replies.done("Relations")


def read_graph(view: View) -> Reply:
    """All there is. Raises Refused if that is more than an answer holds."""
    return replies.shown(view.graph, everything(view), "read_graph")


def read_text(view: View) -> str:
    """All there is, as text. Raises Refused like `read_graph`."""
    return replies.graph_text(view.graph, everything(view), "read_graph")


def search_nodes(view: View, query: str) -> Reply:
    """The entities that have a text anywhere in name, type or observations, and their relations. Raises Refused."""
    wanted = query.lower()
    numbers, by_other_name = substring.nodes(view, wanted)

    def fits(number: int, entity: EntityTold) -> bool:
        texts = (entity["name"], entity["entityType"], *entity["observations"])
        return number in by_other_name or any(wanted in text.lower() for text in texts)

    return replies.shown(view.graph, around(view, numbers, fits, tool="search_nodes"), "search_nodes")


def open_nodes(view: View, names: Sequence[str]) -> Reply:
    """The entities of these names, those that there are, and their relations. Raises Refused."""
    found = around(view, {view.named(name).node for name in names}, tool="open_nodes")
    return replies.shown(view.graph, found, "open_nodes")


def _there(view: View, names: Collection[str]) -> tuple[set[int], set[int]]:
    """Which of these names are of entities, and which are at any time, as numbers of what they stand for."""
    there, ever = set(), set()
    nodes = view.all_names({view.named(name).node for name in names})
    columns = (Fact.node, Fact.valid_from, Fact.valid_to)
    for number, since, until in view.about(*columns, nodes=nodes, kind=Kind.ENTITY, ever=True):
        stands = view.standing_for(number, "").node
        ever.add(stands)
        if view.holds(since, until):
            there.add(stands)
    return there, ever


def _observed(view: View, numbers: Collection[int], texts: Collection[str]) -> set[tuple[int, str]]:
    """Which of these texts were observed of the first entities of these names."""
    to = {facts.node(text) for text in texts}
    columns = (Fact.node, Fact.subject, Fact.type, Fact.object)
    found = view.about(*columns, nodes=view.all_names(numbers), kind=OBSERVED, to=to)
    return {(view.standing_for(number, name).node, text) for number, name, which, text in found if not which}


def _standing(view: View, kinds: Sequence[Kind], nodes: Collection[int], targets: Collection[int]) -> Iterator[Fact]:
    """The facts of these kinds that lead from any of these names to any of those."""
    rows = view.graph.rows(Fact)
    for some in chunks(view.all_names(nodes)):
        for others in chunks(view.all_names(targets)):
            at = (col(Fact.node).in_(some), col(Fact.target).in_(others), col(Fact.kind).in_(kinds))
            yield from rows.where(*at, *view.conditions())


def _number(view: View, fact: Fact) -> int:
    return view.standing_for(fact.node, fact.subject).node


def _triple(view: View, relation: RelationTold) -> tuple[int, str, int]:
    return view.named(relation["from"]).node, relation["relationType"], view.named(relation["to"]).node


def _triple_of(view: View, fact: Fact) -> tuple[int, str, int]:
    return _number(view, fact), fact.type, view.standing_for(fact.target, fact.object).node


def _ends(triples: Collection[tuple[int, str, int]]) -> tuple[set[int], set[int]]:
    return {source for source, _, _ in triples}, {target for _, _, target in triples}


def _tell(graph: World, told: Sequence[dict[str, object]]) -> None:
    if told:
        graph.rows(Fact).add_all(told)
    else:
        graph.unchanged()


def _end(graph: World, gone: Collection[Fact]) -> None:
    if gone:
        graph.rows(Fact).remove_all(gone)
    else:
        graph.unchanged()
