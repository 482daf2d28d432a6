"""GEXF: the format of Gephi, nodes and edges with attributes."""

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from worlds.graph.exchange.elements import Edge, Found, Node, dumped, edge_facts, label_of, node_facts, observed, shown
from worlds.graph.exchange.markup import Names, Reading, attribute, joined, typed

_COLUMNS = {
    "node": ("type", "observations", "exists", "valid_from", "valid_to", "weight", "provenance", "attributes"),
    "edge": ("type", "valid_from", "valid_to", "provenance", "attributes"),
}
_KINDS = {"weight": "double", "exists": "boolean"}
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<gexf xmlns="http://gexf.net/1.3" version="1.3">
<graph defaultedgetype="directed">
"""


def read(stream: BinaryIO) -> Iterator[Found]:
    """The facts of a document: nodes are called by their labels, and what is not known is an attribute."""
    return _Gexf().facts(stream)


def write(nodes: Iterable[Node], edges: Iterable[Edge]) -> Iterator[str]:
    """A document with all that is known of each."""
    yield _HEAD
    for of, names in _COLUMNS.items():
        declared = (f'<attribute id="{name}" title="{name}" type="{_KINDS.get(name, "string")}"/>' for name in names)
        yield joined((f'<attributes class="{of}">', *declared, "</attributes>"))
    yield "<nodes>\n"
    for node in nodes:
        if not node.again:
            seen = [observed(told) for told in node.observations]
            known = {"exists": "false"} if node.type is None else {"type": node.type}
            values = {**known, **({"observations": seen} if seen else {}), **shown(node.more)}
            named = attribute(node.name)
            yield joined((f"<node id={named} label={named}>", *_values(values), "</node>"))
    yield "</nodes>\n<edges>\n"
    for number, edge in enumerate(edges):
        more = shown(edge.more)
        weight = f' weight="{more.pop("weight")!r}"' if "weight" in more else ""
        ends = f"source={attribute(edge.source)} target={attribute(edge.target)}"
        place = f'<edge id="{number}" {ends} label={attribute(edge.type)}{weight}>'
        yield joined((place, *_values({"type": edge.type, **more}), "</edge>"))
    yield "</edges>\n</graph>\n</gexf>\n"


def _values(values: dict[str, Any]) -> Iterator[str]:
    yield "<attvalues>"
    for name, value in values.items():
        said = dumped(value) if name in ("observations", "attributes") else str(value)
        yield f'<attvalue for="{name}" value={attribute(said)}/>'
    yield "</attvalues>"


class _Gexf:
    """A document under way."""

    def __init__(self) -> None:
        self._reading = Reading("GEXF", self._begin, self._end)
        self._columns: dict[tuple[str, str], tuple[str, str]] = {}
        self._defaults: dict[str, dict[str, Any]] = {"node": {}, "edge": {}}
        self._names = Names()
        self._open: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self._class = self._column = ""

    def facts(self, stream: BinaryIO) -> Iterator[Found]:
        """What it tells."""
        return self._reading.facts(stream)

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        match name:
            case "attributes":
                self._class = attributes.get("class", "node")
            case "attribute":
                self._column = attributes.get("id", "")
                title = attributes.get("title", self._column)
                self._columns[self._class, self._column] = title, attributes.get("type", "string")
            case "node" | "edge":
                self._open.append((name, attributes, dict(self._defaults[name])))
            case "attvalue" if self._open:
                of, _, values = self._open[-1]
                column = attributes.get("for", attributes.get("id", ""))
                title, kind = self._columns.get((of, column), (column, "string"))
                values[title] = typed(kind, attributes.get("value", ""))

    def _end(self, name: str, text: str) -> None:
        match name:
            case "default" if self._class in self._defaults:
                title, kind = self._columns.get((self._class, self._column), (self._column, "string"))
                self._defaults[self._class][title] = typed(kind, text)
            case "node":
                _, attributes, values = self._open.pop()
                named = self._names.give(attributes.get("id", ""), label_of(attributes))
                self._reading.found.extend(node_facts(self._reading.line, values, named))
            case "edge":
                _, attributes, values = self._open.pop()
                ends = [self._names.of(attributes.get(end, "")) for end in ("source", "target")]
                self._reading.found.extend(
                    edge_facts(self._reading.line, ends[0], ends[1], _known(attributes) | values)
                )


def _known(attributes: dict[str, str]) -> dict[str, Any]:
    """What an edge says by itself: where no value is its type, its kind or label is."""
    found: dict[str, Any] = {"weight": attributes["weight"]} if "weight" in attributes else {}
    type = attributes.get("kind") or attributes.get("label")
    return found | ({"type": type} if type else {})
