"""GraphML: nodes and edges with typed data."""

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from worlds.graph.exchange.elements import Edge, Found, Node, dumped, edge_facts, label_of, node_facts, observed, shown
from worlds.graph.exchange.markup import Names, Reading, attribute, content, joined, typed

_KEYS = {
    "node": ("type", "observations", "exists", "valid_from", "valid_to", "weight", "provenance", "attributes"),
    "edge": ("type", "valid_from", "valid_to", "weight", "provenance", "attributes"),
}
_KINDS = {"weight": "double", "exists": "boolean"}
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
"""


def read(stream: BinaryIO) -> Iterator[Found]:
    """The facts of a document: data named name or label names a node, and what is not known is an attribute."""
    return _GraphML().facts(stream)


def write(nodes: Iterable[Node], edges: Iterable[Edge]) -> Iterator[str]:
    """A document with all that is known of each."""
    yield _HEAD
    for of, names in _KEYS.items():
        for name in names:
            kind = _KINDS.get(name, "string")
            yield f'<key id="{of}-{name}" for="{of}" attr.name="{name}" attr.type="{kind}"/>\n'
    yield '<graph id="graph" edgedefault="directed">\n'
    for node in nodes:
        if not node.again:
            seen = [observed(told) for told in node.observations]
            known = {"exists": "false"} if node.type is None else {"type": node.type}
            values = {**known, **({"observations": seen} if seen else {}), **shown(node.more)}
            yield joined((f"<node id={attribute(node.name)}>", *_data("node", values), "</node>"))
    for edge in edges:
        ends = f"source={attribute(edge.source)} target={attribute(edge.target)}"
        yield joined((f"<edge {ends}>", *_data("edge", {"type": edge.type, **shown(edge.more)}), "</edge>"))
    yield "</graph>\n</graphml>\n"


def _data(of: str, values: dict[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        said = dumped(value) if name in ("observations", "attributes") else str(value)
        yield f'<data key="{of}-{name}">{content(said)}</data>'


class _GraphML:
    """A document under way."""

    def __init__(self) -> None:
        self._reading = Reading("GraphML", self._begin, self._end)
        self._keys: dict[str, tuple[str, str, str]] = {}
        self._defaults: dict[str, dict[str, Any]] = {"node": {}, "edge": {}}
        self._names = Names()
        self._open: list[tuple[dict[str, str], dict[str, Any]]] = []
        self._key = ""

    def facts(self, stream: BinaryIO) -> Iterator[Found]:
        """What it tells."""
        return self._reading.facts(stream)

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        match name:
            case "key":
                self._key = attributes.get("id", "")
                named = attributes.get("attr.name", self._key)
                self._keys[self._key] = attributes.get("for", "all"), named, attributes.get("attr.type", "string")
            case "data":
                self._key = attributes.get("key", "")
            case "node" | "edge":
                self._open.append((attributes, dict(self._defaults[name])))

    def _end(self, name: str, text: str) -> None:
        match name:
            case "default":
                of, named, kind = self._keys.get(self._key, ("all", self._key, "string"))
                for one in self._defaults.keys() & ({of} if of != "all" else {"node", "edge"}):
                    self._defaults[one][named] = typed(kind, text)
            case "data" if self._open:
                _, named, kind = self._keys.get(self._key, ("all", self._key, "string"))
                self._open[-1][1][named] = typed(kind, text)
            case "node":
                attributes, values = self._open.pop()
                named = self._names.give(attributes.get("id", ""), label_of({**attributes, **values}))
                self._reading.found.extend(node_facts(self._reading.line, values, named))
            case "edge":
                attributes, values = self._open.pop()
                ends = [self._names.of(attributes.get(end, "")) for end in ("source", "target")]
                self._reading.found.extend(edge_facts(self._reading.line, ends[0], ends[1], values))
