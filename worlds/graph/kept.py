"""Statements that are kept: what reads of a graph ask for most often, with parameters for what changes.

To make a statement takes SQLAlchemy longer than the database to carry it out. All tell of the facts that stand, or
stood at the revision that `select` is given.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlmodel import Integer, bindparam, case, col, func, literal, literal_column, or_, select

from engine import Matching, aliased
from worlds.graph.facts import Fact, Kind


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a select finds: columns of facts, at which end the nodes are, and by what it finds them beside.

    `ever` are also facts that did not hold at the time.
    """

    columns: tuple[str, ...]
    end: str
    by_type: bool
    by_target: bool
    limited: bool
    ever: bool


def held(of: Any, then: Any) -> tuple[Any, ...]:
    """The conditions for which facts, or those of an alias of the class, held at a time."""
    return (
        or_(col(of.valid_from).is_(None), col(of.valid_from) <= then),
        or_(col(of.valid_to).is_(None), col(of.valid_to) > then),
    )


@cache
def of_wanted(wanted: Wanted) -> Any:
    """A select of facts that held at the parameter `then`, of `kinds`, about `nodes`."""
    about = (col(Fact.kind).in_(_several("kinds")), col(getattr(Fact, wanted.end)).in_(_several("nodes")))
    found = select(*(getattr(Fact, name) for name in wanted.columns)).where(*about, *Fact.standing_now())
    if not wanted.ever:
        found = found.where(*held(Fact, bindparam("then")))
    if wanted.by_type:
        # Computed, so that facts are found by their nodes and not by their type, which many may have.
        found = found.where(col(Fact.type).concat("").in_(_several("types")))
    if wanted.by_target:
        found = found.where(col(Fact.target).in_(_several("targets")))
    ordered = found.order_by(col(Fact.id) + 0)
    return ordered.limit(bindparam("most", type_=Integer)) if wanted.limited else ordered


@cache
def count_of_type() -> Any:
    """A select of how many facts there are of the parameters `kind` and `type` that held at `then`: up to `most`."""
    own = (col(Fact.kind) == bindparam("kind"), col(Fact.type) == bindparam("type"), *held(Fact, bindparam("then")))
    found = select(col(Fact.id)).where(*own, *Fact.standing_now()).limit(bindparam("most", type_=Integer))
    return select(func.count()).select_from(found.subquery())


def of_words(found: Matching) -> Any:
    """A select of the first `most` facts that have words and held at the parameter `then`; for `found.keep`.

    What each is about, whether that is an entity, the name if the fact says it, and how well it fits.
    """
    # Looked for only where it must be.
    return _first(_of_words(found, case((_says_so(), literal(True)), else_=_is_entity())))


def of_words_alone(found: Matching) -> Any:
    """The same, but what they are about is known to be an entity only where a fact says so itself."""
    return _first(_of_words(found, _says_so()))


def of_words_about(found: Matching) -> Any:
    """The same, of all facts about `nodes`."""
    said = (Kind.ENTITY.value, Kind.OBSERVATION.value, Kind.ALIAS.value)
    return _of_words(found, _says_so()).where(col(Fact.node).in_(_several("nodes")), col(Fact.kind).in_(said))


def _of_words(found: Matching, there: Any) -> Any:
    name = case((col(Fact.kind) != Kind.OBSERVATION.value, Fact.subject))
    own = (*found.where, *Fact.standing_now(), *held(Fact, bindparam("then")))
    return select(Fact.node, there, name, found.rank).where(*own)


def _first(found: Any) -> Any:
    return found.order_by(col(Fact.id) + 0, col(Fact.since)).limit(bindparam("most", type_=Integer))


def _says_so(of: Any = Fact) -> Any:
    return of.kind == literal_column(f"'{Kind.ENTITY.value}'")  # a parameter would not find the index of entities


def _is_entity() -> Any:
    """Whether what a fact is about is an entity."""
    other = aliased(Fact)
    return select(1).where(other.node == Fact.node, *_are_entities(other)).exists()


def _are_entities(of: Any) -> tuple[Any, ...]:
    return (_says_so(of), *Fact.standing_now(of), *held(of, bindparam("then")))


@cache
def of_entities() -> Any:
    """A select of those of `nodes` that are entities."""
    return select(Fact.node).where(col(Fact.node).in_(_several("nodes")), *_are_entities(Fact))


def _several(name: str) -> Any:
    return bindparam(name, expanding=True)


@cache
def of_rules() -> Any:
    """A select of the facts that say how others are read, whenever they held."""
    when: tuple[Any, ...] = (Fact.valid_from, Fact.valid_to)
    said: tuple[Any, ...] = (Fact.subject, Fact.node, Fact.target, Fact.object)
    own = (col(Fact.kind).in_((Kind.ALIAS.value, Kind.FUNCTIONAL.value)), *Fact.standing_now())
    return select(Fact.kind, *when, *said).where(*own).order_by(col(Fact.id) + 0)
