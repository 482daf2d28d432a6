"""Statements that are kept: what reads of a graph ask for most often, with parameters for what changes.

To make a statement takes SQLAlchemy longer than the database to carry it out.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlmodel import Integer, bindparam, col, or_, select

from worlds.graph.facts import Fact, Kind


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a select finds: columns of facts, at which end the nodes are, and by what it finds them beside."""

    columns: tuple[str, ...]
    end: str
    by_type: bool
    by_target: bool
    limited: bool


def held(of: Any, then: Any) -> tuple[Any, ...]:
    """The conditions for which facts, or those of an alias of the class, held at a time."""
    return (
        or_(col(of.valid_from).is_(None), col(of.valid_from) <= then),
        or_(col(of.valid_to).is_(None), col(of.valid_to) > then),
    )


def of_wanted(wanted: Wanted) -> Any:
    """A select of facts that held at the parameter `then`, of `kinds`, about `nodes`, whenever they were recorded."""
    about = (col(Fact.kind).in_(_several("kinds")), col(getattr(Fact, wanted.end)).in_(_several("nodes")))
    found = select(*(getattr(Fact, name) for name in wanted.columns)).where(*about, *held(Fact, bindparam("then")))
    if wanted.by_type:
        found = found.where(col(Fact.type).in_(_several("types")))
    if wanted.by_target:
        found = found.where(col(Fact.target).in_(_several("targets")))
    ordered = found.order_by(col(Fact.id) + 0)
    return ordered.limit(bindparam("most", type_=Integer)) if wanted.limited else ordered


@cache
def standing_now(wanted: Wanted) -> Any:
    """A select of facts that stand: kept, since making it takes longer than carrying it out."""
    return of_wanted(wanted).where(*Fact.standing_now())


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
