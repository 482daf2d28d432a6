"""Finding facts that stand, by their ids or by what they say."""

from collections.abc import Collection
from typing import Any

from sqlmodel import col, select

from engine import Refused
from worlds.graph.facts import Fact, Kind, node
from worlds.graph.telling.assertions import Match
from worlds.graph.view import View, chunks

NAMED = 10
"""Ids that a refusal names."""


def the_fact(view: View, wanted: int | Match) -> Fact:
    """The one fact that is meant. Raises Refused: no_such_fact, several_facts."""
    found = facts_by_id(view, [wanted]) if isinstance(wanted, int) else matching(view, wanted)
    if len(found) > 1:
        ids = ", ".join(str(fact.id) for fact in found[:NAMED])
        raise Refused("several_facts", f"{len(found)} facts fit {wanted}: {ids}.", hint="Give the id of one.")
    return found[0]


def facts_by_id(view: View, ids: Collection[int]) -> list[Fact]:
    """The facts of these ids that stand, whenever they hold. Raises Refused: no_such_fact."""
    found = {fact.id: fact for some in chunks(sorted(set(ids))) for fact in _rows(view, col(Fact.id).in_(some))}
    missing = [id for id in ids if id not in found]
    if missing:
        raise _missing(view, missing[0])
    return list(found.values())


def matching(view: View, wanted: Match) -> list[Fact]:
    """The facts that stand and fit, whenever they hold. Raises Refused: no_such_fact."""
    names = view.all_names({view.named(wanted.name).node})
    conditions: list[Any] = [col(Fact.kind) == wanted.kind.value]
    if wanted.kind in (Kind.ALIAS, Kind.FUNCTIONAL):  # an alias is meant itself, and not what it stands for
        names = [node(wanted.name)]
    if wanted.to is not None:
        conditions.append(col(Fact.target).in_(view.all_names({view.named(wanted.to).node})))
    if wanted.text is not None:
        conditions.append(col(Fact.target) == node(wanted.text))
    for column, value in (
        (Fact.type, wanted.type),
        (Fact.valid_from, wanted.valid_from),
        (Fact.valid_to, wanted.valid_to),
    ):
        if value is not None:
            conditions.append(col(column) == value)
    found = [fact for some in chunks(names) for fact in _rows(view, col(Fact.node).in_(some), *conditions)]
    if not found:
        raise Refused(
            "no_such_fact", f"No fact stands that fits {wanted}.", hint="entity_history tells what there was."
        )
    return found


def all_about(view: View, numbers: Collection[int]) -> dict[int, Fact]:
    """All facts that stand about names, or lead to them, whenever they hold, by id."""
    of = (Kind.ENTITY, Kind.OBSERVATION, Kind.ALIAS, Kind.RELATION)
    found: dict[int, Fact] = {}
    for some in chunks(list(numbers)):
        for end, kinds in ((Fact.node, of), (Fact.target, (Kind.ALIAS, Kind.RELATION))):
            found |= {fact.id: fact for fact in _rows(view, col(end).in_(some), col(Fact.kind).in_(kinds))}
    return found


def _rows(view: View, *conditions: Any) -> list[Fact]:
    return view.graph.rows(Fact).where(*conditions)


def _missing(view: View, id: int) -> Refused:
    ended = view.graph.select(select(Fact.until).where(col(Fact.id) == id, col(Fact.until).is_not(None)))
    if ended:
        last = max(row[0] for row in ended)
        return Refused("no_such_fact", f"Fact {id} stands no longer: it ended at revision {last}.")
    return Refused("no_such_fact", f"There is no fact {id}.", hint="entity_history gives the ids of facts.")
