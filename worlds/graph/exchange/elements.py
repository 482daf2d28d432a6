"""What every format is read into and written from: nodes and edges, with what was told of each."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine import Refused
from worlds.graph import facts
from worlds.graph.times import moment

LONGEST = 16 * 1024 * 1024
"""Bytes, or characters, of one line or one text in a file."""
DOCUMENT = 64 * 1024 * 1024
"""Bytes of a document that can only be read as a whole."""
DEEPEST = 32
"""How deep attributes, and the elements of a document, may lie within each other."""
UNTYPED, UNNAMED = "node", "related_to"
"""The type of an entity, and of a relation, where a file has none."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""A NUL as JSON writes it, and not what looks like it after a backslash."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What could not be taken from a file, and on which line of it."""

    line: int | None
    what: str


Found = dict[str, Any] | Problem
"""What a reader gives: a fact, as `facts.entity` and the others make them, or a problem."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was observed. `more` is what facts have beside: valid_from, valid_to, weight, source, attributes."""

    text: str
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Node:
    """An entity; without a type, a name that relations lead to, and no entity. `again` if there was one of the name."""

    name: str
    type: str | None
    observations: tuple[Told, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    again: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """A relation, and the types of the entities at its ends, if there are such."""

    source: str
    type: str
    target: str
    more: Mapping[str, Any] = field(default_factory=dict)
    source_type: str | None = None
    target_type: str | None = None


_MORE = {"valid_from": "valid_from", "valid_to": "valid_to", "weight": "weight", "provenance": "source"}
"""What files call what facts have beside; `source` is an end of an edge in most of them."""
_IGNORED = ("SUID", "shared_name", "shared name", "shared_interaction", "shared interaction", "selected", "value")
_NAMES = ("name", "label")
_NODE_TYPES = ("type", "entityType", "kind")
_EDGE_TYPES = ("type", "relationType", "relation", "interaction", "label", "kind", "key")


def shown(more: Mapping[str, Any]) -> dict[str, Any]:
    """What a fact has beside, as files call it; what is null is left out."""
    named = {name: more.get(own) for name, own in (*_MORE.items(), ("attributes", "attributes"))}
    return {name: value for name, value in named.items() if value is not None}


def observed(told: Told) -> Any:
    """An observation as JSON: its text, or an object where more is known."""
    more = shown(told.more)
    return {"text": told.text, **more} if more else told.text


def node_facts(line: int | None, values: Mapping[str, Any], name: Any = None) -> Iterator[Found]:
    """The facts that a node's values tell: its type, observations, and the rest as attributes."""
    rest = {key: value for key, value in values.items() if key not in _IGNORED and key != "id"}
    named = name if name is not None else label_of(values)
    for key in _NAMES:
        rest.pop(key, None)
    observations, exists = rest.pop("observations", ()), rest.pop("exists", True)
    type = _first(rest, _NODE_TYPES, UNTYPED)
    if exists in (False, "false") and type == UNTYPED:
        return
    yield from entity_facts(line, plain(named), plain(type), _listed(observations), _told(rest))


def label_of(values: Mapping[str, Any]) -> Any:
    """What a node is called: its name or label, else its id."""
    return next((values[key] for key in (*_NAMES, "id") if values.get(key) not in (None, "")), values.get("id"))


def edge_facts(line: int | None, source: Any, target: Any, values: Mapping[str, Any]) -> Iterator[Found]:
    """The fact that an edge's values tell of its two ends."""
    rest = {key: value for key, value in values.items() if key not in (*_IGNORED, "id", "source", "target")}
    named = rest.get("type", rest.get("interaction"))
    type = _first(rest, _EDGE_TYPES, UNNAMED)
    if named is not None and rest.get("name") == f"{source} ({named}) {target}":  # as Cytoscape writes it
        rest.pop("name")
    yield from relation_facts(line, plain(source), plain(type), plain(target), _told(rest))


def entity_facts(
    line: int | None, name: Any, type: Any, observations: Iterable[Any] = (), more: Mapping[str, Any] | None = None
) -> Iterator[Found]:
    """An entity and what was observed of it; what is wrong with an observation leaves the others."""
    try:
        named = text("the name", name)
        yield facts.entity(named, _type(type), **beside(more or {}))
    except ValueError as wrong:
        yield Problem(line, str(wrong))
        return
    yield from observation_facts(line, named, observations)


def observation_facts(line: int | None, name: Any, observations: Iterable[Any]) -> Iterator[Found]:
    """What was observed of an entity: each a text, or an object with what is known beside."""
    for one in observations:
        try:
            yield _observation(text("the name", name), one)
        except ValueError as wrong:
            yield Problem(line, str(wrong))


def relation_facts(
    line: int | None, source: Any, type: Any, target: Any, more: Mapping[str, Any] | None = None
) -> Iterator[Found]:
    """A relation."""
    try:
        ends = text("where it starts", source), _type(type), text("where it ends", target)
        yield facts.relation(*ends, **beside(more or {}))
    except ValueError as wrong:
        yield Problem(line, str(wrong))


def text(what: str, value: Any) -> str:
    """A text that databases can hold. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError(f"{what} is {quoted(value)}, which is no text")
    if found := _UNSTORABLE.search(value):
        kind = "a NUL" if found[0] == "\0" else "half of a character (a lone surrogate)"
        raise ValueError(f"{what} {quoted(value)} holds {kind}, which no database keeps")
    return value


def _type(value: Any) -> str:
    type = text("the type", value)
    if len(type) > facts.LONGEST_TYPE:
        raise ValueError(f"the type {quoted(type)} has more than {facts.LONGEST_TYPE} characters")
    return type


def plain(value: Any) -> Any:
    """A number as the text that names it; anything else as it is."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def beside(more: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says of a fact beside, checked, as facts have it. Raises ValueError."""
    found: dict[str, Any] = {own: more[name] for name, own in _MORE.items() if more.get(name) not in (None, "")}
    for end in ("valid_from", "valid_to"):
        if end in found:
            found[end] = moment(text(end, plain(found[end])))
    if "valid_from" in found and "valid_to" in found and found["valid_from"] >= found["valid_to"]:
        raise ValueError(f"it would hold until {found['valid_to']}, which is not after {found['valid_from']}")
    if "weight" in found:
        found["weight"] = _number(found["weight"])
    if "source" in found:
        found["source"] = _source(found["source"])
    attributes = _attributes(more.get("attributes"))
    return found | ({"attributes": attributes} if attributes else {})


def _source(value: Any) -> str:
    source = text("provenance", plain(value))
    if len(source) > facts.LONGEST_SOURCE:
        raise ValueError(f"the provenance {quoted(source)} has more than {facts.LONGEST_SOURCE:,} characters")
    return source


def parsed(given: str) -> Any:
    """JSON. Raises ValueError, also for what lies too deep or is no JSON of the standard."""
    try:
        return _JSON.decode(given)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError as wrong:
        raise ValueError(f"it is no JSON: {wrong.msg} at column {wrong.colno}") from None
    except ValueError as wrong:
        what = "it holds a number of thousands of digits" if "digits" in str(wrong) else str(wrong)
        raise ValueError(what) from None


def dumped(value: Any) -> str:
    """JSON on one line, as JavaScript writes it."""
    made = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return made if made.isascii() else _UNSTORABLE.sub(lambda half: f"\\u{ord(half[0]):04x}", made)


def quoted(value: Any, most: int = 60) -> str:
    """A value as an error shows it: on one line, without what steers a terminal, and not all of a long one."""
    if isinstance(value, str):
        return json.dumps(value[:most]) + ("…" if len(value) > most else "")
    return type(value).__name__ if isinstance(value, list | dict) else str(value)[:most]


def unreadable(format: str, line: int | None, what: str) -> Refused:
    """The refusal of a file that cannot be read on from there."""
    place = "" if line is None else f", line {line}"
    return Refused("unreadable_file", f"This is no {format}{place}: {what}.", hint="Nothing was taken from it.")


def _observation(name: str, one: Any) -> dict[str, Any]:
    if not isinstance(one, dict):
        return facts.observation(name, text("an observation", one))
    return facts.observation(name, text("an observation", one.get("text")), **beside(one))


def _listed(observations: Any) -> list[Any]:
    """Observations as a list: they may stand as JSON in a text, or be one text."""
    if isinstance(observations, str):
        try:
            found = parsed(observations) if observations.startswith("[") else [observations]
        except ValueError:
            found = [observations]
        return list(found) if isinstance(found, list) else [observations]
    return list(observations) if isinstance(observations, list | tuple) else [observations]


def _first(values: dict[str, Any], names: Iterable[str], default: str) -> Any:
    for name in names:
        if isinstance(values.get(name), str | int | float):
            return values.pop(name)
    return default


def _told(rest: dict[str, Any]) -> dict[str, Any]:
    """What is known beside, and whatever else a file says as attributes."""
    more = {name: rest.pop(name) for name in _MORE if name in rest}
    given = rest.pop("attributes", None)
    if isinstance(given, str) and given:
        given = parsed_or(given)
    if given not in (None, "") and not isinstance(given, dict):
        given = {"attributes": given}
    return {**more, "attributes": {**rest, **(given or {})}}


def parsed_or(given: str) -> Any:
    """What a text is as JSON, or the text."""
    try:
        return parsed(given)
    except ValueError:
        return given


def _attributes(given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ValueError(f"the attributes are {quoted(given)}, which is no object")
    if _depth(given) > DEEPEST:
        raise ValueError(f"the attributes are nested more than {DEEPEST} deep")
    try:
        made = json.dumps(given, ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise ValueError("the attributes hold a number that is none") from None
    if _UNSTORABLE.search(made) or _NUL.search(made):
        raise ValueError("the attributes hold a NUL, or half of a character, which no database keeps")
    return given


def _depth(value: Any) -> int:
    """How deep a value lies, counted only as far as it matters."""
    level, depth = [value], 0
    while level and depth <= DEEPEST:
        inner = [list(one.values()) if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level, depth = [part for one in inner for part in one], depth + 1
    return depth


def _number(given: Any) -> float:
    try:
        found = float(given)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if isinstance(given, bool) or not math.isfinite(found):
        raise ValueError(f"the weight is {quoted(given)}, which is no number")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"it is no JSON: {name} is no number")


_JSON = json.JSONDecoder(parse_constant=_no_constant)
