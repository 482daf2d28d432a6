"""RDF: Turtle, N-Quads and JSON-LD. They are read by rdflib, which comes with the extra `rdf`."""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple
from urllib.parse import quote, unquote

from engine import Refused
from worlds.graph.exchange.documents import whole
from worlds.graph.exchange.elements import (
    UNTYPED,
    Edge,
    Found,
    Node,
    Problem,
    dumped,
    entity_facts,
    observation_facts,
    parsed,
    parsed_or,
    relation_facts,
    shown,
    unreadable,
)
from worlds.graph.exchange.jsonl import lines

if TYPE_CHECKING:
    from rdflib import Dataset

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DOUBLE = "http://www.w3.org/2001/XMLSchema#double"
OURS = "urn:turnkeeper:graph:"
"""What the names of entities, types and relations begin with that are no IRIs themselves."""
OBSERVATION = f"{OURS}observation"
NOWHERE = "http://file.invalid/"
"""What relative addresses are relative to."""

_MORE = {name: f"{OURS}{name}" for name in ("valid_from", "valid_to", "weight", "provenance", "attributes")}
_IRI = re.compile(r"(?:https?|urn):[^\x00-\x20<>\"{}|\\^`\x7f]+")
_ESCAPED = re.compile(r"[\x00-\x1f\"\\\x7f]")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Iri(NamedTuple):
    """A name in RDF; one that begins with `_:` is of this document only."""

    iri: str


class Literal(NamedTuple):
    """A text in RDF, or what it is of."""

    text: str
    datatype: str | None = None


Triple = tuple[Iri, Iri, Iri | Literal]
TYPE = Iri(f"{RDF}type")


def read_turtle(stream: BinaryIO) -> Iterator[Found]:
    """The facts of a Turtle document. Raises Refused where it is none, or rdflib is not there."""
    return _facts(_loaded("Turtle", "turtle", whole(stream, "Turtle")))


def read_jsonld(stream: BinaryIO) -> Iterator[Found]:
    """The facts of a JSON-LD document; its contexts must be in it. Raises Refused."""
    text = whole(stream, "JSON-LD")
    try:
        _insist_on_own_contexts(parsed(text.decode("utf-8-sig")))
    except ValueError as wrong:
        raise unreadable("JSON-LD", None, str(wrong)) from None
    return _facts(_loaded("JSON-LD", "json-ld", text))


def read_nquads(stream: BinaryIO) -> Iterator[Found]:
    """The facts of a file of N-Quads or N-Triples, and the lines that are none. Raises Refused."""
    dataset, problems = _dataset(), list[Problem]()
    parse = _line_parser(dataset)
    for number, line in enumerate(lines(stream), 1):
        try:
            parse(line.what if isinstance(line, Problem) else line.strip())
        except Exception as wrong:  # of many kinds
            what = line.what if isinstance(line, Problem) else f"it is no statement: {_said(wrong)}"
            problems.append(Problem(number, what))
    yield from problems
    yield from _facts(dataset)


def write_nquads(nodes: Iterable[Node], edges: Iterable[Edge]) -> Iterator[str]:
    """A statement on each line, in the graph without a name: N-Triples, too."""
    for subject, predicate, object in triples(nodes, edges):
        yield f"{_term(subject)} {_term(predicate)} {_term(object)} .\n"


def write_turtle(nodes: Iterable[Node], edges: Iterable[Edge]) -> Iterator[str]:
    """Statements, those of one subject together."""
    yield f"@prefix rdf: <{RDF}> .\n\n"
    for subject, told in groupby(triples(nodes, edges), key=lambda triple: triple[0]):
        said = (f"{'a' if predicate == TYPE else _short(predicate)} {_short(object)}" for _, predicate, object in told)
        yield _term(subject) + " " + " ;\n    ".join(said) + " .\n"


def write_jsonld(nodes: Iterable[Node], edges: Iterable[Edge]) -> Iterator[str]:
    """An expanded document: a list of what has properties."""
    between = "[\n"
    for subject, told in groupby(triples(nodes, edges), key=lambda triple: triple[0]):
        thing: dict[str, Any] = {"@id": subject.iri}
        for _, predicate, object in told:
            if predicate == TYPE and isinstance(object, Iri):
                thing.setdefault("@type", []).append(object.iri)
            else:
                thing.setdefault(predicate.iri, []).append(_json(object))
        yield between + dumped(thing)
        between = ",\n"
    yield "[]\n" if between == "[\n" else "\n]\n"


def triples(nodes: Iterable[Node], edges: Iterable[Edge]) -> Iterator[Triple]:
    """What a graph is in RDF. What is known beside a statement stands at one about it (rdf:Statement)."""
    statements = 0
    for one in _statements(nodes, edges):
        yield one[0]
        if more := shown(one[1]):
            statements += 1
            yield from _about(Iri(f"_:s{statements}"), one[0], more)


def _statements(nodes: Iterable[Node], edges: Iterable[Edge]) -> Iterator[tuple[Triple, Mapping[str, Any]]]:
    for node in nodes:
        name = _iri("entity", node.name)
        if node.type is not None and not node.again:
            yield (name, TYPE, _iri("type", node.type)), node.more
        for told in node.observations:
            yield (name, Iri(OBSERVATION), Literal(told.text)), told.more
    for edge in edges:
        ends = _iri("entity", edge.source), _iri("entity", edge.target)
        yield (ends[0], _iri("relation", edge.type), ends[1]), edge.more


def _about(statement: Iri, triple: Triple, more: Mapping[str, Any]) -> Iterator[Triple]:
    yield statement, TYPE, Iri(f"{RDF}Statement")
    for name, term in zip(("subject", "predicate", "object"), triple, strict=True):
        yield statement, Iri(f"{RDF}{name}"), term
    for name, value in more.items():
        text = dumped(value) if name == "attributes" else str(value)
        yield statement, Iri(_MORE[name]), Literal(text, DOUBLE if name == "weight" else None)


def _iri(kind: str, name: str) -> Iri:
    own = _IRI.fullmatch(name) and not name.startswith((OURS, RDF))
    return Iri(name if own else f"{OURS}{kind}:{quote(name, safe='')}")


def _term(term: Iri | Literal) -> str:
    if isinstance(term, Iri):
        return term.iri if term.iri.startswith("_:") else f"<{term.iri}>"
    text = _ESCAPED.sub(lambda char: _ESCAPES.get(char[0], f"\\u{ord(char[0]):04X}"), term.text)
    return f'"{text}"' if term.datatype is None else f'"{text}"^^<{term.datatype}>'


def _short(term: Iri | Literal) -> str:
    """A term as Turtle writes it."""
    own = isinstance(term, Iri) and term.iri.startswith(RDF)
    return f"rdf:{term[0].removeprefix(RDF)}" if own else _term(term)


def _json(term: Iri | Literal) -> dict[str, str]:
    if isinstance(term, Iri):
        return {"@id": term.iri}
    return {"@value": term.text} | ({} if term.datatype is None else {"@type": term.datatype})


def _dataset() -> "Dataset":
    try:
        from rdflib import Dataset  # comes with the extra `rdf` only
    except ImportError:
        raise Refused(
            "not_installed",
            "RDF is read by rdflib, which is not installed here.",
            hint="Install turnkeeper[rdf], or give the graph as JSONL, GraphML, GEXF, CSV or JSON.",
        ) from None
    logging.getLogger("rdflib").setLevel(logging.ERROR)  # it tells of each literal that is not what it says
    return Dataset(default_union=True)


def _loaded(format: str, name: str, text: bytes) -> "Dataset":
    if b"<!ENTITY" in text:
        raise Refused(
            "document_type", f"The {format} holds a document type (<!ENTITY …>).", hint="Nothing was taken from it."
        )
    dataset = _dataset()
    try:
        dataset.parse(data=text, format=name, publicID=NOWHERE)
    except Exception as wrong:  # of many kinds
        raise unreadable(format, getattr(wrong, "lines", -1) + 1 or None, _said(wrong)) from None
    return dataset


def _line_parser(dataset: "Dataset") -> Callable[[str], None]:
    from rdflib.plugins.parsers.nquads import NQuadsParser

    parser = NQuadsParser()
    parser.sink = dataset

    def parse(line: str) -> None:
        parser.line = line
        parser.parseline()

    return parse


def _said(wrong: Exception) -> str:
    """What rdflib says is wrong, on one line."""
    if isinstance(wrong, RecursionError):
        return "it is nested too deeply"
    reason = getattr(wrong, "_why", None) or str(wrong) or type(wrong).__name__
    return " ".join("".join(char if char.isprintable() else " " for char in str(reason)[:200]).split())


def _insist_on_own_contexts(value: Any) -> None:
    """Insist that nothing is fetched to read a document. Raises Refused."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            given = one.get("@context", ())
            if isinstance(given, str) or "@import" in one or any(isinstance(part, str) for part in _several(given)):
                raise Refused(
                    "context_elsewhere",
                    "The JSON-LD has its @context at an address, and nothing is fetched from there.",
                    hint="Write the context into the document, or give it expanded.",
                )
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _several(given: Any) -> list[Any]:
    return given if isinstance(given, list) else []


def _facts(dataset: "Dataset") -> Iterator[Found]:
    """What statements tell: types make entities, texts are observed of them, and the others are relations."""
    from rdflib import Literal as Text
    from rdflib import URIRef

    type_of, beside, about = URIRef(TYPE.iri), *_reified(dataset)
    typed: set[Any] = set()
    for subject, _, type in dataset.triples((None, type_of, None)):
        if subject not in about and subject not in typed:
            typed.add(subject)
            for more in beside.get((subject, type_of, type), ({},)):
                yield from entity_facts(None, _name(subject), _name(type), (), more)
    for subject, predicate, object in dataset.triples((None, None, None)):
        if subject in about or predicate == type_of:
            continue
        for end in (subject, object):
            if end not in typed and not isinstance(end, Text) and not str(end).startswith(OURS):
                typed.add(end)
                yield from entity_facts(None, _name(end), UNTYPED)
        for more in beside.get((subject, predicate, object), ({},)):
            if isinstance(object, Text):
                told = str(object) if str(predicate) == OBSERVATION else f"{_local(str(predicate))}: {object}"
                yield from observation_facts(None, _name(subject), [{"text": told, **more}])
            else:
                yield from relation_facts(None, _name(subject), _name(predicate), _name(object), more)


def _reified(dataset: "Dataset") -> tuple[dict[Any, list[dict[str, Any]]], set[Any]]:
    """What is known beside statements, by statement; and what stands for these."""
    from rdflib import URIRef

    known: dict[Any, list[dict[str, Any]]] = {}
    about = set(dataset.subjects(URIRef(TYPE.iri), URIRef(f"{RDF}Statement")))
    for one in about:
        triple = tuple(dataset.value(one, URIRef(f"{RDF}{name}")) for name in ("subject", "predicate", "object"))
        values = {name: dataset.value(one, URIRef(iri)) for name, iri in _MORE.items()}
        more: dict[str, Any] = {name: str(value) for name, value in values.items() if value is not None}
        if "attributes" in more:
            more["attributes"] = parsed_or(more["attributes"])
        known.setdefault(triple, []).append(more)
    return known, about


def _name(term: Any) -> str:
    """What a term is called in the graph: as it was when we wrote it, or its IRI."""
    text = str(term)
    if text.startswith(OURS) and ":" in text.removeprefix(OURS):
        return unquote(text.removeprefix(OURS).partition(":")[2])
    return text if "BNode" not in type(term).__name__ else f"_:{text}"


def _local(iri: str) -> str:
    return re.split(r"[/#:]", iri)[-1] or iri
