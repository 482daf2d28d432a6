"""The nine tools of the memory server on plain lists: what the tests hold the graph against."""

from collections.abc import Callable
from typing import Any

Thing = dict[str, Any]


class NoEntity(Exception):
    """An observation was to be added to what is not there."""


class Model:
    """A memory: entities and relations, in the order they were told."""

    def __init__(self) -> None:
        self.entities: list[Thing] = []
        self.relations: list[Thing] = []

    @property
    def tools(self) -> dict[str, Callable[..., Any]]:
        """What each tool does, by name; it gives the structured content."""
        return {name: getattr(self, name) for name in TOOLS}

    def create_entities(self, entities: list[Thing]) -> Thing:
        names = {entity["name"] for entity in self.entities}
        new = [entity for entity in entities if entity["name"] not in names]
        self.entities += [{**entity, "observations": [*entity["observations"]]} for entity in new]
        return {"entities": new}

    def create_relations(self, relations: list[Thing]) -> Thing:
        new = [relation for relation in relations if relation not in self.relations]
        self.relations += new
        return {"relations": new}

    def add_observations(self, observations: list[Thing]) -> Thing:
        results = []
        before = [[*entity["observations"]] for entity in self.entities]
        for one in observations:
            entity = next((entity for entity in self.entities if entity["name"] == one["entityName"]), None)
            if entity is None:
                for kept, texts in zip(self.entities, before, strict=True):
                    kept["observations"] = texts
                raise NoEntity(f"Entity with name {one['entityName']} not found")
            added = [text for text in one["contents"] if text not in entity["observations"]]
            entity["observations"] += added
            results.append({"entityName": one["entityName"], "addedObservations": added})
        return {"results": results}

    def delete_entities(self, entityNames: list[str]) -> Thing:
        self.entities = [entity for entity in self.entities if entity["name"] not in entityNames]
        self.relations = [one for one in self.relations if not {one["from"], one["to"]} & {*entityNames}]
        return {"success": True, "message": "Entities deleted successfully"}

    def delete_observations(self, deletions: list[Thing]) -> Thing:
        for one in deletions:
            entity = next((entity for entity in self.entities if entity["name"] == one["entityName"]), None)
            if entity is not None:
                entity["observations"] = [text for text in entity["observations"] if text not in one["observations"]]
        return {"success": True, "message": "Observations deleted successfully"}

    def delete_relations(self, relations: list[Thing]) -> Thing:
        self.relations = [one for one in self.relations if one not in relations]
        return {"success": True, "message": "Relations deleted successfully"}

    def read_graph(self) -> Thing:
        return {"entities": self.entities, "relations": self.relations}

    def search_nodes(self, query: str) -> Thing:
        def fits(entity: Thing) -> bool:
            texts = (entity["name"], entity["entityType"], *entity["observations"])
            return any(query.lower() in text.lower() for text in texts)

        return self._around([entity for entity in self.entities if fits(entity)])

    def open_nodes(self, names: list[str]) -> Thing:
        return self._around([entity for entity in self.entities if entity["name"] in names])

    def _around(self, entities: list[Thing]) -> Thing:
        names = {entity["name"] for entity in entities}
        return {"entities": entities, "relations": [one for one in self.relations if {one["from"], one["to"]} & names]}


TOOLS = (
    "create_entities",
    "create_relations",
    "add_observations",
    "delete_entities",
    "delete_observations",
    "delete_relations",
    "read_graph",
    "search_nodes",
    "open_nodes",
)
