"""Taking back what was told and was wrong."""

from collections.abc import Collection, Sequence

from pydantic import BaseModel, Field
from sqlmodel import col

from engine import Refused, World
from worlds.graph.facts import Fact, Kind
from worlds.graph.telling.assertions import Match, Shown, shown
from worlds.graph.telling.finding import all_about, facts_by_id, matching
from worlds.graph.view import View, chunks

SHOWN = 100
"""Facts that an answer shows."""


class Retracted(BaseModel):
    """What stands no longer."""

    count: int
    facts: list[Shown] = Field(description=f"the first {SHOWN} of them")

    def __str__(self) -> str:
        return "\n".join([f"{self.count} retracted.", *map(str, self.facts)])


def retract_facts(graph: World, ids: Sequence[int], facts: Sequence[Match]) -> Retracted:
    """End facts, and with the last fact that an entity is there what else stands of it. Raises Refused."""
    view = View(graph)
    if not ids and not facts:
        raise Refused("nothing_to_retract", "No fact is named.", hint="Give ids, or facts as they were told.")
    found = [*facts_by_id(view, ids), *(fact for match in facts for fact in matching(view, match))]
    gone = {fact.id: fact for fact in found}
    gone |= all_about(view, _without_entity(view, gone.values()))
    graph.rows(Fact).remove_all(gone.values())
    return Retracted(count=len(gone), facts=[shown(gone[id]) for id in sorted(gone)[:SHOWN]])


def _without_entity(view: View, gone: Collection[Fact]) -> list[int]:
    """The numbers of the names of entities whose last fact of kind entity is among these."""
    of = {view.standing_for(fact.node, fact.subject).node for fact in gone if fact.kind == Kind.ENTITY}
    ids = {fact.id for fact in gone}
    left = set()
    for some in chunks(view.all_names(of)):
        for fact in view.graph.rows(Fact).where(col(Fact.node).in_(some), kind=Kind.ENTITY.value):
            if fact.id not in ids:
                left.add(view.standing_for(fact.node, fact.subject).node)
    return view.all_names(of - left)
