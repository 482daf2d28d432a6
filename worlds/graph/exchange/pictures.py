"""Two formats to look at: Mermaid, for a few nodes, and DOT."""

from collections.abc import Iterable, Iterator

from worlds.graph.exchange.elements import Edge, Node

MOST = 60
"""Nodes that a Mermaid diagram shows; more cannot be read."""
LABEL = 60
"""Characters of a label in it."""

_MERMAID = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;"}


def write_mermaid(nodes: Iterable[Node], edges: Iterable[Edge]) -> Iterator[str]:
    """A diagram, left to right, of the first nodes and what is between them; it says how many there are in all."""
    numbers: dict[str, int] = {}
    count = 0
    yield "graph LR\n"
    for node in nodes:
        if not node.again and count < MOST:
            numbers[node.name] = count
            yield f'  n{count}["{_label(node.name)}"]\n'
        count += not node.again
    if count > MOST:
        yield f"  %% {MOST} of {count:,} nodes are shown\n"
    for edge in edges:
        if edge.source in numbers and edge.target in numbers:
            yield f'  n{numbers[edge.source]} -->|"{_label(edge.type)}"| n{numbers[edge.target]}\n'


def write_dot(nodes: Iterable[Node], edges: Iterable[Edge]) -> Iterator[str]:
    """A digraph with types as labels."""
    yield "digraph graph_ {\n"
    for node in nodes:
        if not node.again:
            told = "style=dashed" if node.type is None else f"class={_quoted(node.type)}"
            yield f"  {_quoted(node.name)} [{told}];\n"
    for edge in edges:
        weight = f", weight={max(1, round(edge.more['weight']))}" if edge.more.get("weight") is not None else ""
        yield f"  {_quoted(edge.source)} -> {_quoted(edge.target)} [label={_quoted(edge.type)}{weight}];\n"
    yield "}\n"


def _label(text: str) -> str:
    """A label that means nothing to Mermaid, on one line, and not all of a long one."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: LABEL + 1]).split())
    cut = line[:LABEL] + "…" if len(text) > LABEL else line
    return "".join(_MERMAID.get(char, char) for char in cut) or " "


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r").replace("\n", "\\n")
    return f'"{escaped}"'
