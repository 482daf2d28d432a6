"""Searching a graph: entities by what is told of them, the best first, by the page and within a budget."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Annotated, Literal

from pydantic import BaseModel
from pydantic import Field as Limit

from engine import Refused, World
from worlds.graph import cursors
from worlds.graph.facts import Fact, Kind, words
from worlds.graph.naming import brief
from worlds.graph.search import ranking
from worlds.graph.search.correcting import corrections, mended
from worlds.graph.search.matching import matches
from worlds.graph.search.query import All, Leaf, Query, Some, Typed, leaves, parsed, words_of
from worlds.graph.search.ranking import Match
from worlds.graph.search.terms import Terms, fits
from worlds.graph.times import view_of
from worlds.graph.view import View

Detail = Annotated[
    Literal["names", "summary", "full"],
    Limit(description="names alone; with an observation that fits (summary); or with all observations (full)"),
]
Size = Annotated[int, Limit(ge=1, le=100, description="how many entities at most")]
Budget = Annotated[int, Limit(ge=50, le=100_000, description="about how many tokens of 4 characters the results have")]
SNIPPET = 200
"""Characters of an observation that a summary shows."""
OBSERVATIONS = 5_000
"""Observations that are read for a page."""


class Hit(BaseModel):
    """An entity that fits."""

    name: str
    entityType: str
    snippet: str | None = None
    observations: list[str] | None = None
    left_out: int = Limit(default=0, description="how many of its observations the budget did not allow")


class LeftOut(BaseModel):
    """What the budget did not allow on this page; `next` goes on with the entities."""

    entities: int = 0
    observations: int = 0


class Found(BaseModel):
    """Entities that fit a query, the best first."""

    revision: int
    total: int = Limit(description="how many entities fit")
    at_least: bool = Limit(
        description="whether there may be more: of what very many facts have, only the first were taken"
    )
    results: list[Hit]
    next: str | None = Limit(default=None, description="what to give as cursor for the next page")
    left_out: LeftOut
    corrected: dict[str, list[str]] = Limit(
        default={}, description="words that nothing has, and by which words was searched instead"
    )

    def __str__(self) -> str:
        return "\n".join(_lines(self))


@dataclass(frozen=True, slots=True)
class Asked:
    """What is searched for, by which a cursor knows its search."""

    query: str
    types: tuple[str, ...]
    as_of: int | str | None
    valid_at: str | None


@dataclass(frozen=True, slots=True)
class Best:
    """The best entities that fit a query, how many do, and whether these are all; and the query as it was read."""

    entities: list[Match]
    total: int
    complete: bool
    tree: Query
    corrected: dict[str, list[str]]


def search(graph: World, asked: Asked, *, detail: Detail, limit: int, cursor: str | None, max_tokens: int) -> Found:
    """A page of the entities that fit. Raises Refused."""
    if cursor is None:
        view, offset = view_of(graph, asked.as_of, asked.valid_at), 0
    else:
        view, offset = cursors.resumed(graph, cursor, *astuple(asked), refusal=_other_search)
    found = best(view, asked.query, asked.types, offset + limit)
    page = found.entities[offset:]
    results, left_out = _within(_hits(view, page, detail, found.tree), len(page), max_tokens)
    end = offset + len(results)
    revision = graph.revision if view.as_of is None else view.as_of
    return Found(
        revision=revision,
        total=found.total,
        at_least=not found.complete,
        results=results,
        next=cursors.cursor(view, end, *astuple(asked)) if end < found.total else None,
        left_out=left_out,
        corrected=found.corrected,
    )


def best(view: View, query: str, types: Sequence[str], most: int) -> Best:
    """The best entities that fit; if none does, those that fit when words that nothing has are corrected.

    Raises Refused.
    """
    tree, corrected, terms = _of_types(parsed(query), types), dict[str, list[str]](), Terms(view)
    found = matches(terms, tree, _spelled(query, tree))
    if not found.entities:
        corrected = corrections(view.graph, terms, tree)
    if corrected:
        tree = mended(tree, corrected)
        found = matches(terms, tree, ranking.called(tree))
    entities = ranking.best(view, found, ranking.called(tree), most)
    return Best(entities, len(found.entities), found.complete, tree, corrected)


def _spelled(query: str, tree: Query) -> Collection[str]:
    """Names that may be looked for: the query as it is spelled, and each that is just its words."""
    name, called = query.strip().removeprefix('"').removesuffix('"'), ranking.called(tree)
    return called | {name} if words(name) in called else called


def _of_types(tree: Query, types: Sequence[str]) -> Query:
    return All((tree, Some(tuple(map(Typed, types))))) if types else tree


def _hits(view: View, page: Sequence[Match], detail: Detail, tree: Query) -> Iterator[Hit]:
    if detail == "names" or not page:
        yield from (Hit(name=brief(one.name), entityType=one.type) for one in page)
        return
    observed = _observed(view, page)
    for one in page:
        texts = observed.get(one.node, [])
        hit = Hit(name=brief(one.name), entityType=one.type)
        if detail == "full":
            hit.observations = [text for text, _ in texts]
        elif texts:
            hit.snippet = _snippet(texts, [*leaves(tree)])
        yield hit


def _observed(view: View, page: Sequence[Match]) -> Mapping[int, list[tuple[str, str]]]:
    """The observations of entities, each with its words; what two names of one both have it has once."""
    found: dict[int, list[tuple[str, str]]] = {}
    first: dict[tuple[int, str], int] = {}
    nodes = view.all_names(one.node for one in page)
    columns = (Fact.node, Fact.object, Fact.words)
    for number, text, told in view.about(*columns, nodes=nodes, kind=Kind.OBSERVATION, most=OBSERVATIONS):
        node = view.standing_for(number, "").node
        if first.setdefault((node, text), number) == number:
            found.setdefault(node, []).append((text, told))
    return found


def _snippet(texts: Sequence[tuple[str, str]], terms: Sequence[Leaf]) -> str:
    """The observation that has most of the terms, cut to where the first of them is."""
    text, _ = max(texts, key=lambda one: sum(fits(term, one[1]) for term in terms))
    if len(text) <= SNIPPET:
        return text
    places = [text.casefold().find(part) for term in terms for part in words_of(term)]
    first = min((place for place in places if place >= 0), default=0)
    start = max(0, min(first - SNIPPET // 4, len(text) - SNIPPET))
    return f"{'…' if start else ''}{text[start : start + SNIPPET]}{'…' if start + SNIPPET < len(text) else ''}"


def _within(hits: Iterator[Hit], count: int, max_tokens: int) -> tuple[list[Hit], LeftOut]:
    """The first of the results that a budget allows; of the last, as many observations as there is room for."""
    room, shown, out = 4 * max_tokens, list[Hit](), LeftOut()
    for hit in hits:
        size = _size(hit)
        if size > room and hit.observations:
            _cut(hit, room)
            size = _size(hit)
        if size > room and shown:
            break
        shown.append(hit)
        room -= size
        out.observations += hit.left_out
    out.entities = count - len(shown)
    return shown, out


def _cut(hit: Hit, room: int) -> None:
    """Leave of a result's observations as many as there is room for."""
    kept, room = list[str](), room - _size(hit.model_copy(update={"observations": [], "left_out": 10**9}))
    for text in hit.observations or []:
        room -= len(json.dumps(text, ensure_ascii=False)) + 1
        if room < 0:
            break
        kept.append(text)
    hit.left_out = len(hit.observations or []) - len(kept)
    hit.observations = kept


def _size(hit: Hit) -> int:
    return len(json.dumps(hit.model_dump(), ensure_ascii=False))


def _other_search() -> Refused:
    return Refused(
        "cursor",
        "The cursor is not of this search.",
        hint="Give it with the same query, types, as_of and valid_at as before; or leave it out, to begin anew.",
    )


def _lines(found: Found) -> Iterator[str]:
    if found.corrected:
        told = "; ".join(f"{word}: {', '.join(better)}" for word, better in found.corrected.items())
        yield f"Nothing has these words, so others were searched for: {told}."
    fit = "entity fits" if found.total == 1 and not found.at_least else "entities fit"
    yield f"{'At least ' if found.at_least else ''}{found.total:,} {fit}, at revision {found.revision}."
    for hit in found.results:
        yield f"{hit.name} ({hit.entityType})" + (f": {hit.snippet}" if hit.snippet else "")
        yield from (f"  {text}" for text in hit.observations or ())
        if hit.left_out:
            yield f"  and {hit.left_out:,} more observations"
    if found.left_out.entities or found.left_out.observations:
        yield f"Left out: {found.left_out.entities:,} entities, {found.left_out.observations:,} observations."
    if found.next:
        yield f"Go on with cursor {found.next}."
