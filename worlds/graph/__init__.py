"""A knowledge graph: entities, what was observed of them, and how they are related, as somebody told it over time."""

from typing import Annotated, Any

from pydantic import Field as Limit

from engine import World, action
from worlds.graph import memory
from worlds.graph.facts import Fact as Fact
from worlds.graph.facts import Import as Import
from worlds.graph.view import View


class Graph(World, rows=[Fact, Import]):
    """A graph of entities, observations and relations. Nothing that was told is lost."""

    @action
    def create_entities(self, entities: Annotated[list[dict[str, Any]], Limit(description="entities")]) -> list[Any]:
        """Create multiple new entities in the knowledge graph."""
        return memory.create_entities(self, entities)

    @action(read_only=True)
    def read_graph(self) -> dict[str, Any]:
        """Read the entire knowledge graph."""
        return memory.read_graph(View(self))
