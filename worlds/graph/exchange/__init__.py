"""Graphs as files: formats by name, which of them a file is in, and their readers and writers."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

from engine import Refused
from worlds.graph.exchange import documents, edge_table, gexf, graphml, jsonl, pictures, rdf
from worlds.graph.exchange.elements import Edge, Found, Node
from worlds.graph.exchange.elements import Problem as Problem

Reader = Callable[[BinaryIO], Iterator[Found]]
Writer = Callable[[Iterable[Node], Iterable[Edge]], Iterator[str]]

SEEN = 64 * 1024
"""Bytes of a file's beginning that say in which format it is."""


class Format(StrEnum):
    """How a graph is written."""

    JSONL = "jsonl"
    CSV = "csv"
    GRAPHML = "graphml"
    GEXF = "gexf"
    NODE_LINK = "node-link"
    CYTOSCAPE = "cytoscape"
    TURTLE = "turtle"
    NQUADS = "nquads"
    JSONLD = "jsonld"
    MERMAID = "mermaid"
    DOT = "dot"


@dataclass(frozen=True, slots=True)
class Exchange:
    """How a format is read and written; what is only looked at is not read."""

    read: Reader | None
    write: Writer
    names: tuple[str, ...]
    """How files of it end that are of no other."""


FORMATS: Mapping[Format, Exchange] = {
    Format.JSONL: Exchange(jsonl.read, jsonl.write, ("jsonl", "ndjson")),
    Format.CSV: Exchange(edge_table.read, edge_table.write, ("csv", "tsv")),
    Format.GRAPHML: Exchange(graphml.read, graphml.write, ("graphml",)),
    Format.GEXF: Exchange(gexf.read, gexf.write, ("gexf",)),
    Format.NODE_LINK: Exchange(documents.read_node_link, documents.write_node_link, ()),
    Format.CYTOSCAPE: Exchange(documents.read_cytoscape, documents.write_cytoscape, ("cyjs",)),
    Format.TURTLE: Exchange(rdf.read_turtle, rdf.write_turtle, ("ttl", "turtle")),
    Format.NQUADS: Exchange(rdf.read_nquads, rdf.write_nquads, ("nq", "nt")),
    Format.JSONLD: Exchange(rdf.read_jsonld, rdf.write_jsonld, ("jsonld",)),
    Format.MERMAID: Exchange(None, pictures.write_mermaid, ("mmd", "mermaid")),
    Format.DOT: Exchange(None, pictures.write_dot, ("dot", "gv")),
}

_SIGNS: tuple[tuple[bytes, bytes, Format], ...] = (
    (b"<", rb"<graphml\b", Format.GRAPHML),
    (b"<", rb"<gexf\b", Format.GEXF),
    (b"{[", rb'"@(context|id)"\s*:', Format.JSONLD),
    (b"{[", rb'"(entityType|relationType)"\s*:', Format.JSONL),
    (b"{[", rb'"elements"\s*:', Format.CYTOSCAPE),
    (b"{[", rb'"nodes"\s*:', Format.NODE_LINK),
    (b"@#<_[", rb"@prefix\b", Format.TURTLE),
)
"""What says in which format a file is that begins with one of some characters, the surest first."""


def reader(format: Format) -> Reader:
    """How a format is read. Raises Refused."""
    found = FORMATS[format].read
    if found is None:
        raise Refused("not_read", f"{format} is only written.", hint=f"These are read: {', '.join(_read())}.")
    return found


def writer(format: Format) -> Writer:
    """How a format is written."""
    return FORMATS[format].write


def format_named(file: str) -> Format | None:
    """The format that a file's name says."""
    ending = file.rpartition(".")[2].lower()
    return next((format for format, exchange in FORMATS.items() if ending in exchange.names), None)


def format_of(file: str, beginning: bytes) -> Format:
    """The format of a file, by its name, or else by how it begins. Raises Refused."""
    if (named := format_named(file)) is not None:
        return named
    seen = beginning.removeprefix(b"\xef\xbb\xbf").lstrip()
    for marks, sign, format in _SIGNS:
        if seen[:1] and seen[:1] in marks and re.search(sign, seen):
            return format
    first = seen.partition(b"\n")[0]
    if first[:1] in b"<_" and first.rstrip().endswith(b".") and first:
        return Format.NQUADS
    if any(mark in first for mark in (b",", b";", b"\t")) and first[:1] not in (b"{", b"[", b"<"):
        return Format.CSV
    raise Refused(
        "unknown_format", "Nothing says in which format this graph is.", hint=f"Name one: {', '.join(_read())}."
    )


def _read() -> list[str]:
    return [format.value for format, exchange in FORMATS.items() if exchange.read is not None]
