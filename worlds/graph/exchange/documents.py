"""Two kinds of JSON documents: node-link, as networkx and D3 have it, and Cytoscape's."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from engine import Refused
from worlds.graph.exchange.elements import (
    DOCUMENT,
    Edge,
    Found,
    Node,
    Problem,
    dumped,
    edge_facts,
    label_of,
    node_facts,
    observed,
    parsed,
    shown,
    unreadable,
)
from worlds.graph.exchange.markup import Names


def whole(stream: BinaryIO, format: str) -> bytes:
    """A document that can only be read as a whole. Raises Refused for one that is too large."""
    found = stream.read(DOCUMENT + 1)
    if len(found) > DOCUMENT:
        raise Refused(
            "file_too_large",
            f"A document of {format} is read as a whole, and this one has more than {DOCUMENT:,} bytes.",
            hint="Give it as JSONL, GraphML, GEXF or CSV: these are read as they come.",
        )
    return found


def document(stream: BinaryIO, format: str) -> Any:
    """A JSON document. Raises Refused."""
    try:
        return parsed(whole(stream, format).decode("utf-8-sig"))
    except UnicodeDecodeError as wrong:
        raise unreadable(format, None, f"it is no UTF-8 at byte {wrong.start + 1}") from None
    except ValueError as wrong:
        raise unreadable(format, None, str(wrong)) from None


def read_node_link(stream: BinaryIO) -> Iterator[Found]:
    """The facts of a node-link document. Raises Refused where it is none."""
    found = document(stream, "node-link JSON")
    nodes, edges = _lists(found, "nodes"), _lists(found, "edges", "links")
    if nodes is None or edges is None:
        raise unreadable("node-link JSON", None, "it has no lists nodes, and edges or links")
    yield from _nodes_and_edges(nodes, edges, "node", "edge")


def read_cytoscape(stream: BinaryIO) -> Iterator[Found]:
    """The facts of a Cytoscape document. Raises Refused where it is none."""
    found = document(stream, "Cytoscape JSON")
    elements = found.get("elements") if isinstance(found, dict) else found
    if isinstance(elements, list):
        edges = [one for one in elements if "source" in _data(one)]
        nodes: list[Any] | None = [one for one in elements if "source" not in _data(one)]
    else:
        nodes, edges = _lists(elements, "nodes"), _lists(elements, "edges") or []
    if nodes is None:
        raise unreadable("Cytoscape JSON", None, "it has no elements with a list nodes")
    yield from _nodes_and_edges(map(_data, nodes), map(_data, edges), "element", "element")


def write_node_link(nodes: Iterable[Node], edges: Iterable[Edge]) -> Iterator[str]:
    """A document that `networkx.node_link_graph` reads."""
    yield '{"directed":true,"multigraph":true,"graph":{},"nodes":[\n'
    yield from _between(_node(node, {"id": node.name}) for node in nodes if not node.again)
    yield '\n],"edges":[\n'
    yield from _between(
        {"source": edge.source, "target": edge.target, "type": edge.type, **shown(edge.more)} for edge in edges
    )
    yield "\n]}\n"


def write_cytoscape(nodes: Iterable[Node], edges: Iterable[Edge]) -> Iterator[str]:
    """A document that Cytoscape, cytoscape.js and `networkx.cytoscape_graph` read."""
    yield '{"data":{},"directed":true,"multigraph":true,"elements":{"nodes":[\n'
    yield from _between(
        {"data": _node(node, {"id": node.name, "name": node.name, "value": node.name})}
        for node in nodes
        if not node.again
    )
    yield '\n],"edges":[\n'
    yield from _between({"data": _link(number, edge)} for number, edge in enumerate(edges))
    yield "\n]}}\n"


def _nodes_and_edges(nodes: Iterable[Any], edges: Iterable[Any], node: str, edge: str) -> Iterator[Found]:
    names = Names()
    for number, one in enumerate(nodes, 1):
        if isinstance(one, Mapping) and _is_name(one.get("id")):
            yield from _placed(f"{node} {number}", node_facts(None, one, names.give(one["id"], label_of(one))))
        else:
            yield Problem(None, f"{node} {number} has no id")
    for number, one in enumerate(edges, 1):
        if isinstance(one, Mapping) and _is_name(one.get("source")) and _is_name(one.get("target")):
            ends = names.of(one["source"]), names.of(one["target"])
            yield from _placed(f"{edge} {number}", edge_facts(None, *ends, one))
        else:
            yield Problem(None, f"{edge} {number} has no source or no target")


def _placed(place: str, found: Iterable[Found]) -> Iterator[Found]:
    for one in found:
        yield Problem(None, f"{place}: {one.what}") if isinstance(one, Problem) else one


def _is_name(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _lists(found: Any, *names: str) -> list[Any] | None:
    values = (found.get(name) for name in names) if isinstance(found, dict) else ()
    return next((value for value in values if isinstance(value, list)), None)


def _data(one: Any) -> Mapping[str, Any]:
    found = one.get("data") if isinstance(one, dict) else None
    return found if isinstance(found, dict) else {}


def _node(node: Node, named: dict[str, Any]) -> dict[str, Any]:
    seen = [observed(told) for told in node.observations]
    known = {"exists": False} if node.type is None else {"type": node.type}
    return {**named, **known, **({"observations": seen} if seen else {}), **shown(node.more)}


def _link(number: int, edge: Edge) -> dict[str, Any]:
    ends = {"id": f"e{number}", "source": edge.source, "target": edge.target}
    return {**ends, "interaction": edge.type, **shown(edge.more)}


def _between(items: Iterable[Any]) -> Iterator[str]:
    between = ""
    for item in items:
        yield between + dumped(item)
        between = ",\n"
