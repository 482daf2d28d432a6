"""Statements that are kept: what reads of a graph ask for most often, with parameters for what changes.

To make a statement takes SQLAlchemy longer than the database to carry it out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlmodel import Integer, bindparam, case, col, func, literal, or_, select

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


def of_wanted(wanted: Wanted) -> Any:
    """A select of facts that held at the parameter `then`, of `kinds`, about `nodes`, whenever they were recorded."""
    about = (col(Fact.kind).in_(_several("kinds")), col(getattr(Fact, wanted.end)).in_(_several("nodes")))
    found = select(*(getattr(Fact, name) for name in wanted.columns)).where(*about)
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
def standing_now(wanted: Wanted) -> Any:
    """A select of facts that stand: kept, since making it takes longer than carrying it out."""
    return of_wanted(wanted).where(*Fact.standing_now())


def count_of_type(recorded: tuple[Any, ...]) -> Any:
    """A select of how many facts there are of the parameters `kind` and `type` that held at `then`: up to `most`."""
    own = (col(Fact.kind) == bindparam("kind"), col(Fact.type) == bindparam("type"), *held(Fact, bindparam("then")))
    found = select(col(Fact.id)).where(*own, *recorded).limit(bindparam("most", type_=Integer))
    return select(func.count()).select_from(found.subquery())


@cache
def count_of_type_now() -> Any:
    """Of those that stand: kept."""
    return count_of_type(Fact.standing_now())


def of_words(found: Matching, recorded: Callable[[Any], tuple[Any, ...]]) -> Any:
    """A select of the first `most` facts that have words and held at the parameter `then`, as they were recorded.

    What each is about, whether that is an entity, the name if the fact says it, and how well it fits.
    """
    other = aliased(Fact)
    is_entity = (other.node == Fact.node, other.kind == Kind.ENTITY.value, *recorded(other))
    told = select(1).where(*is_entity, *held(other, bindparam("then"))).exists()
    # Looked for only where it must be: a fact that it is an entity is one.
    there = case((col(Fact.kind) == Kind.ENTITY.value, literal(True)), else_=told)
    name = case((col(Fact.kind) != Kind.OBSERVATION.value, Fact.subject))
    wanted = select(Fact.node, there, name, found.rank).where(*found.where, *recorded(Fact))
    in_order = wanted.where(*held(Fact, bindparam("then"))).order_by(col(Fact.id) + 0, col(Fact.since))
    return in_order.limit(bindparam("most", type_=Integer))


def of_words_now(found: Matching) -> Any:
    """Those that stand: to be kept."""
    return of_words(found, Fact.standing_now)


def _several(name: str) -> Any:
    return bindparam(name, expanding=True)


def of_rules() -> Any:
    """A select of the facts that say how others are read, whenever they were recorded and held."""
    when: tuple[Any, ...] = (Fact.valid_from, Fact.valid_to)
    said: tuple[Any, ...] = (Fact.subject, Fact.node, Fact.target, Fact.object)
    kinds = (Kind.ALIAS.value, Kind.FUNCTIONAL.value)
    return select(Fact.kind, *when, *said).where(col(Fact.kind).in_(kinds)).order_by(col(Fact.id) + 0)


@cache
def rules_now() -> Any:
    """Those that stand: kept."""
    return of_rules().where(*Fact.standing_now())
