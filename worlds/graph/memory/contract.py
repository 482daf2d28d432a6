"""What the memory server says of its nine tools (npm `@modelcontextprotocol/server-memory` 2026.8.31), to the letter.

The schemas are those of its `tools/list`, key by key; the complaints those that its checker makes of arguments.
"""

from typing import Any

from pydantic import ValidationError
from typing_extensions import TypedDict  # pydantic takes typing's own from Python 3.12 on


class EntityTold(TypedDict):
    """An entity, as it is told of and shown."""

    name: str
    entityType: str
    observations: list[str]


# One of its keys is a keyword.
RelationTold = TypedDict("RelationTold", {"from": str, "to": str, "relationType": str})


class ContentsTold(TypedDict):
    """What was observed of an entity, to add."""

    entityName: str
    contents: list[str]


class ObservationsTold(TypedDict):
    """What was observed of an entity, to delete."""

    entityName: str
    observations: list[str]


Schema = dict[str, Any]


def _text(description: str | None = None) -> Schema:
    return {"type": "string"} | ({"description": description} if description else {})


def _list(items: Schema, description: str | None = None) -> Schema:
    return {"type": "array", "items": items} | ({"description": description} if description else {})


def _object(*, closed: bool = False, **properties: Schema) -> Schema:
    required = {"required": list(properties)} if properties else {}
    return {"type": "object", "properties": properties} | required | ({"additionalProperties": False} if closed else {})


def _root(*, closed: bool = False, **properties: Schema) -> Schema:
    return {"$schema": "http://json-schema.org/draft-07/schema#", **_object(closed=closed, **properties)}


def _entity(*, closed: bool = False) -> Schema:
    return _object(
        closed=closed,
        name=_text("The name of the entity"),
        entityType=_text("The type of the entity"),
        observations=_list(_text(), "An array of observation contents associated with the entity"),
    )


def _relation(*, closed: bool = False) -> Schema:
    ends = {
        "from": _text("The name of the entity where the relation starts"),
        "to": _text("The name of the entity where the relation ends"),
    }
    return _object(closed=closed, **ends, relationType=_text("The type of the relation"))


ENTITIES = _root(entities=_list(_entity()))
RELATIONS = _root(relations=_list(_relation()))
OBSERVATIONS = _root(
    observations=_list(
        _object(
            entityName=_text("The name of the entity to add the observations to"),
            contents=_list(_text(), "An array of observation contents to add"),
        )
    )
)
ENTITIES_GONE = _root(entityNames=_list(_text(), "An array of entity names to delete"))
OBSERVATIONS_GONE = _root(
    deletions=_list(
        _object(
            entityName=_text("The name of the entity containing the observations"),
            observations=_list(_text(), "An array of observations to delete"),
        )
    )
)
RELATIONS_GONE = _root(relations=_list(_relation(), "An array of relations to delete"))
NOTHING = _root()
QUERY = _root(query=_text("The search query to match against entity names, types, and observation content"))
NAMES = _root(names=_list(_text(), "An array of entity names to retrieve"))

NEW_ENTITIES = _root(closed=True, entities=_list(_entity(closed=True)))
NEW_RELATIONS = _root(closed=True, relations=_list(_relation(closed=True)))
NEW_OBSERVATIONS = _root(
    closed=True, results=_list(_object(closed=True, entityName=_text(), addedObservations=_list(_text())))
)
GONE = _root(closed=True, success={"type": "boolean"}, message=_text())
GRAPH = _root(closed=True, entities=_list(_entity(closed=True)), relations=_list(_relation(closed=True)))

INPUTS = {
    "create_entities": ENTITIES,
    "create_relations": RELATIONS,
    "add_observations": OBSERVATIONS,
    "delete_entities": ENTITIES_GONE,
    "delete_observations": OBSERVATIONS_GONE,
    "delete_relations": RELATIONS_GONE,
    "read_graph": NOTHING,
    "search_nodes": QUERY,
    "open_nodes": NAMES,
}


def complaint(tool: str, error: ValidationError) -> str:
    """The memory server's words for arguments that do not fit."""
    wrong = [_wrong(tool, one) for one in error.errors(include_url=False, include_context=False)]
    return f"MCP error -32602: Input validation error: Invalid arguments for tool {tool}: " + "\n".join(wrong)


def _wrong(tool: str, error: Any) -> str:
    expected, place = INPUTS[tool], ""
    for step in error["loc"]:
        number = isinstance(step, int)
        expected = expected["items"] if number else expected["properties"][step]
        place += f"[{step}]" if number else f".{step}"
    received = "undefined" if error["type"] == "missing" else _kind(error["input"])
    return f"Invalid input: expected {expected['type']}, received {received} at {place.removeprefix('.')}"


def _kind(value: object) -> str:
    """What JavaScript calls the type of a JSON value."""
    if value is None:
        return "null"
    kinds: dict[type, str] = {bool: "boolean", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "number")


TELLS: dict[str, Any] = {
    "contract": "exact",
    "invalid": complaint,
    "read_only": False,
    "destructive": False,
    "idempotent": False,
    "open_world": False,
}
"""What is said of tools that add, and how they complain."""
DELETES = {**TELLS, "destructive": True, "idempotent": True}
READS = {**TELLS, "read_only": True, "idempotent": True}
