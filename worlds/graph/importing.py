"""A file on its way into a graph: what it tells that is new is written ahead, and taken in by one change.

It is looked at a chunk at a time, beside the graph as it was when the import began; what others told meanwhile, which
is little, is reconciled when it is taken in.
"""

import io
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel
from sqlmodel import col, select

from engine import Asking, Refused, World, Written, storable
from worlds.graph.exchange import SEEN, Format, Problem, format_of, reader
from worlds.graph.exchange.elements import Found, quoted
from worlds.graph.facts import Fact, Import, Kind, node
from worlds.graph.view import CHUNK, View, chunks

SHOWN = 20
"""Problems that an answer names."""
HALF = 32
"""Bits of a row's id below the number of its part."""

Key = tuple[Any, ...]
"""What two facts have in common of which one is enough: of entities the name, of others all but what is beside."""

_NAMES = ("kind", "node", "type", "target", "valid_from", "valid_to")
_KEYED: tuple[Any, ...] = (Fact.kind, Fact.node, Fact.type, Fact.target, Fact.valid_from, Fact.valid_to)


class Trouble(BaseModel):
    """What could not be taken, and from which line; null where the format has no lines, or the graph is against it."""

    line: int | None
    what: str


class Imported(BaseModel):
    """What came of an import: how many facts of each kind are new, and how many were there already."""

    format: str
    told: dict[str, int]
    already_there: int
    problems: list[Trouble]
    more_problems: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What was written ahead of a file, and what came of each of its facts."""

    format: Format
    source: str | None
    written: Written
    sifting: "Sifting"


@dataclass(slots=True)
class File:
    """A file that counts what was read of it."""

    stream: BinaryIO
    name: str
    size: int
    done: int = 0

    def read(self, most: int = -1) -> bytes:
        """The next bytes."""
        return self._counted(self.stream.read(most))

    def readline(self, most: int = -1) -> bytes:
        """The next line."""
        return self._counted(self.stream.readline(most))

    def _counted(self, piece: bytes) -> bytes:
        self.done += len(piece)
        return piece


async def take_in(graph: World, asking: Asking, format: Format | None, text: str | None, source: str | None) -> Taken:
    """Write ahead what a file tells that a graph does not have. Raises Refused."""
    _insist_on_kept(source)
    with _opened(asking.attached, text) as stream:
        file = File(stream, *_named(asking.attached, stream))
        beginning = stream.read(SEEN)
        stream.seek(0)
        chosen = format or format_of(file.name, beginning)
        sifting = Sifting(View(graph, as_of=graph.revision), source)

        said = -1

        async def report() -> None:
            nonlocal said
            if file.done > said:  # a client is told of what is further only
                said = file.done
                await asking.progress(said, file.size, f"{sum(sifting.told.values()):,} facts")

        found = reader(chosen)(file)  # type: ignore[arg-type]
        written = await asking.write_ahead(Fact, sifting.new(found), meanwhile=report)
        await report()
    return Taken(chosen, source if source is not None else file.name or None, written, sifting)


def adopt(graph: World, taken: Taken) -> Imported:
    """Take in what was written ahead, but for what others told meanwhile. Raises Refused."""
    ended: list[tuple[str, Problem | None]] = []
    if taken.written.count:
        _insist_on_the_same(graph, taken.written)
        graph.adopt(Import, taken.written, format=taken.format.value, source=taken.source, facts=taken.written.count)
        ended = _reconcile(graph, taken.written)
    else:
        graph.unchanged()
    sifted, kinds = taken.sifting, Counter(kind for kind, _ in ended)
    problems = [*sifted.problems, *(problem for _, problem in ended if problem is not None)]
    return Imported(
        format=taken.format.value,
        told={kind: count - kinds[kind] for kind, count in sifted.told.items()},
        already_there=sifted.already_there + sum(problem is None for _, problem in ended),
        problems=[Trouble(line=problem.line, what=problem.what) for problem in problems[:SHOWN]],
        more_problems=sifted.more_problems + len(problems[SHOWN:]),
    )


@dataclass(slots=True)
class Sifting:
    """Facts of a file beside those of a graph: of each that is new, 8 bytes are kept, so that it is told once."""

    view: View
    source: str | None
    told: dict[str, int] = field(default_factory=dict)
    already_there: int = 0
    problems: list[Problem] = field(default_factory=list)
    more_problems: int = 0
    _seen: set[int] = field(default_factory=set)
    _one_each: dict[int, list[Key]] = field(default_factory=dict)
    """Of relations of functional types: what was told of a source, by its number with the type's."""

    def new(self, found: Iterator[Found]) -> Iterator[Mapping[str, Any]]:
        """The facts that are new."""
        functional = self.view.functional
        empty = not self.view.graph.select(select(Fact.id).where(*self.view.recorded()).limit(1))
        while some := list(islice(found, CHUNK)):
            facts = [one for one in some if not isinstance(one, Problem)]
            for problem in (one for one in some if isinstance(one, Problem)):
                self._note(problem)
            known = set[Key]() if empty else _known(self.view, facts)
            others = {} if empty else _others(self.view, facts, functional)
            for fact in facts:
                if self._is_new(fact, known) and self._fits(fact, functional, others):
                    self.told[fact["kind"]] = self.told.get(fact["kind"], 0) + 1
                    yield fact if self.source is None else {"source": self.source, **fact}

    def _is_new(self, fact: Mapping[str, Any], known: set[Key]) -> bool:
        key = key_of(self.view, fact)
        short = hash(key)
        if key in known or short in self._seen:
            self.already_there += 1
            return False
        self._seen.add(short)
        return True

    def _fits(self, fact: Mapping[str, Any], functional: Collection[str], others: Mapping[int, list[Key]]) -> bool:
        """Whether a relation of which there is one at a time is the only one then."""
        if fact["kind"] != Kind.RELATION or fact["type"] not in functional:
            return True
        place, key = place_of(self.view, fact), key_of(self.view, fact)
        told = self._one_each.setdefault(place, [])
        if any(contradicts(key, other) for other in (*others.get(place, ()), *told)):
            self._note(_another(fact["subject"], fact["type"], fact["object"]))
            return False
        told.append(key)
        return True

    def _note(self, problem: Problem) -> None:
        if len(self.problems) < SHOWN:
            self.problems.append(problem)
        else:
            self.more_problems += 1


def key_of(view: View, fact: Mapping[str, Any]) -> Key:
    """What says that two facts are the same, by what their names stand for."""
    kind, number = str(fact["kind"]), view.standing_for(fact["node"], "").node
    if kind == Kind.ENTITY:
        return kind, number
    type = "" if kind == Kind.OBSERVATION else fact.get("type", "")
    target = fact["target"] if kind == Kind.OBSERVATION else view.standing_for(fact["target"], "").node
    return kind, number, type, target, fact.get("valid_from"), fact.get("valid_to")


def place_of(view: View, fact: Mapping[str, Any]) -> int:
    """The number of a relation's source and type together."""
    return node(repr((view.standing_for(fact["node"], "").node, fact["type"])))


def contradicts(one: Key, other: Key) -> bool:
    """Whether two relations of a source and a type hold at one time and lead to different things."""
    (*_, target, since, until), (*_, other_target, other_since, other_until) = one, other
    return bool(target != other_target and _before(since, other_until) and _before(other_since, until))


def _another(source: str, type: str, target: str) -> Problem:
    what = f"{quoted(source)} has another {quoted(type)} than {quoted(target)} then"
    return Problem(None, f"{what}, and an entity has one of these at a time")


def _before(since: str | None, until: str | None) -> bool:
    return since is None or until is None or since < until


def _insist_on_kept(source: str | None) -> None:
    if source is not None and storable(source) != source:
        raise Refused("nul_character", "The source holds the character NUL, or half of a character, which is not kept.")


def _opened(attached: Any, text: str | None) -> BinaryIO:
    if (attached is None) == (text is None):
        raise Refused(
            "no_file" if text is None else "two_files",
            "There is nothing to import." if text is None else "There is a file, and a text besides.",
            hint="Give the file's content as `text`, or on a terminal: turnkeeper graph import FILE.",
        )
    if text is not None:
        return io.BytesIO(text.encode())
    try:
        return open(attached, "rb")  # it is closed by who opens a File
    except OSError as error:
        named = storable(str(attached))
        raise Refused("no_file", f"{named} cannot be read: {error.strerror}.", hint="Name a file.") from None


def _named(attached: Any, stream: BinaryIO) -> tuple[str, int]:
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    return "" if attached is None else storable(Path(attached).name), size


def _known(view: View, facts: Sequence[Mapping[str, Any]]) -> set[Key]:
    """The keys of those facts of a graph that may be the same as any of these."""
    known: set[Key] = set()
    for kind in {str(fact["kind"]) for fact in facts}:
        of_kind = [fact for fact in facts if fact["kind"] == kind]
        to = [] if kind == Kind.ENTITY else _numbers(view, of_kind, "target")
        for row in _keyed(view, kind, _numbers(view, of_kind, "node"), to):
            known.add(key_of(view, row))
    return known


def _others(view: View, facts: Sequence[Mapping[str, Any]], functional: Collection[str]) -> dict[int, list[Key]]:
    """The relations of functional types from where these begin, by source and type."""
    found: dict[int, list[Key]] = {}
    of_kind = [fact for fact in facts if fact["kind"] == Kind.RELATION and fact["type"] in functional]
    types = (col(Fact.type).in_(sorted({fact["type"] for fact in of_kind})),)
    for row in _keyed(view, Kind.RELATION, _numbers(view, of_kind, "node"), [], types):
        found.setdefault(place_of(view, row), []).append(key_of(view, row))
    return found


def _numbers(view: View, facts: Iterable[Mapping[str, Any]], end: str) -> list[int]:
    """The numbers of all names of what facts are about, or lead to."""
    return view.all_names({view.standing_for(fact[end], "").node for fact in facts})


def _keyed(
    view: View, kind: str, numbers: Sequence[int], to: Sequence[int], where: Sequence[Any] = ()
) -> Iterator[Mapping[str, Any]]:
    """What facts of a kind, about names and to others, are known by."""
    for some in chunks(numbers):
        for ends in chunks(to) if to else (None,):
            leading = () if ends is None else (col(Fact.target).in_(ends),)
            about = (col(Fact.kind) == kind, col(Fact.node).in_(some), *leading, *where)
            for row in view.graph.select(select(*_KEYED).where(*view.recorded(), *about)):
                yield dict(zip(_NAMES, row, strict=True))


def _insist_on_the_same(graph: World, written: Written) -> None:
    """Insist that no file was taken in, and no type declared, since this one was looked at. Raises Refused."""
    if graph.rows(Import).count(col(Import.since) > written.revision):
        raise Refused(
            "imported_meanwhile",
            "Another file was taken in while this one was being read.",
            hint="Import it again: what is there already is skipped.",
        )
    if graph.rows(Fact).count(col(Fact.since) > written.revision, kind=Kind.FUNCTIONAL.value):
        raise Refused(
            "declared_meanwhile",
            "Somebody said of which relations there is one at a time while this file was being read.",
            hint="Import it again.",
        )


def _reconcile(graph: World, written: Written) -> list[tuple[str, Problem | None]]:
    """End what was taken in of what others told meanwhile: of which kind each is, and why, if not as it is the same.

    What a file was found to tell stays as it is, since a transaction that is lost runs again.
    """
    view = View(graph)
    own = col(Fact.id) < 1 << HALF  # by which an index finds them, however many rows there are of parts
    since = (*view.recorded(), own, col(Fact.since) > written.revision)
    recent = [dict(zip(_NAMES, row, strict=True)) for row in graph.select(select(*_KEYED).where(*since))]
    if not recent:
        return []
    keys, functional = {key_of(view, row) for row in recent}, view.functional
    others: dict[int, list[Key]] = {}
    for row in recent:
        if row["kind"] == Kind.RELATION and row["type"] in functional:
            others.setdefault(place_of(view, row), []).append(key_of(view, row))
    ended = []
    for id, key, place in list(_of_part(view, written.part, _numbers(view, recent, "node"))):
        same = key in keys
        if same or any(contradicts(key, other) for other in others.get(place, ())):
            (fact,) = graph.rows(Fact).where(id=id)
            graph.rows(Fact).remove(fact)
            ended.append((fact.kind, None if same else _another(fact.subject, fact.type, fact.object)))
    return ended


def _of_part(view: View, part: int, numbers: Sequence[int]) -> Iterator[tuple[int, Key, int]]:
    """The facts of a part about names: their ids, what they are known by, and of what they may be one at a time."""
    within = col(Fact.id).between(part << HALF, ((part + 1) << HALF) - 1)
    for some in chunks(numbers):
        for id, *row in view.graph.select(select(Fact.id, *_KEYED).where(within, col(Fact.node).in_(some))):
            fact = dict(zip(_NAMES, row, strict=True))
            yield id, key_of(view, fact), place_of(view, fact)
