"""Telling facts with the time when they hold, and having one take another's place."""

from collections.abc import Collection, Sequence

from pydantic import BaseModel, Field

from engine import Refused, World
from worlds.graph.facts import Fact, Kind
from worlds.graph.naming import QUOTED, brief
from worlds.graph.telling.assertions import COLUMNS, Match, NewFact, ObservationFact, Shown
from worlds.graph.telling.draft import Draft, Held
from worlds.graph.telling.finding import the_fact
from worlds.graph.view import View, instant


class Asserted(BaseModel):
    """What was told."""

    facts: list[Shown] = Field(description="the facts, in the order in which they were given, with their ids")
    known: list[int] = Field(description="ids of those among them that stood already, and were not told again")
    adjusted: list[Shown] = Field(description="what took the place of facts that ended, with the time left to them")
    ended: list[int] = Field(description="ids of facts that stand no longer, since these took their place")
    declared: list[str] = Field(description="relation types that are functional from now on, and were not")

    def __str__(self) -> str:
        new = len(self.facts) - len(self.known)
        lines = [f"{new} told, {len(self.known)} known already, {len(self.ended)} ended.", *map(str, self.facts)]
        declared = (f"functional from now on: {one}" for one in self.declared)
        return "\n".join([*lines, *(f"now {one}" for one in self.adjusted), *declared])


def assert_facts(graph: World, told: Sequence[NewFact], functional: Collection[str]) -> Asserted:
    """Tell facts. Raises Refused: no_such_entity, contradictory."""
    wanted = [one.fact() for one in told]
    draft = Draft(graph, wanted, functional)
    entities = {fact["node"] for fact in wanted if fact["kind"] == Kind.ENTITY}
    for one, fact in zip(told, wanted, strict=True):
        if isinstance(one, ObservationFact) and fact["node"] not in entities and not draft.has_entity(fact):
            raise _no_entity(one.name)
    held = list({id(one): one for one in map(draft.tell, wanted)}.values())
    known = [one.row.id for one in held if one.row is not None]
    draft.finish()
    return Asserted(
        facts=[one.shown for one in held],
        known=known,
        adjusted=_adjusted(draft, held),
        ended=_ended(draft),
        declared=[brief(one.values["subject"]) for one in draft.told if one.values["kind"] == Kind.FUNCTIONAL],
    )


def _adjusted(draft: Draft, held: Sequence[Held]) -> list[Shown]:
    """What else the draft told."""
    others = [one for one in draft.told if one not in held]
    return [one.shown for one in others if one.values["kind"] != Kind.FUNCTIONAL]


def _ended(draft: Draft) -> list[int]:
    return [row.id for row in draft.ended]


class Superseded(BaseModel):
    """What took a fact's place."""

    old: Shown = Field(description="the fact that was superseded, as it stands now: until then")
    new: Shown = Field(description="what holds from then on")
    adjusted: list[Shown] = Field(description="what took the place of other facts that gave way")
    ended: list[int] = Field(description="ids of facts that stand no longer; the first is of the one superseded")

    def __str__(self) -> str:
        return "\n".join([f"old {self.old}", f"new {self.new}", *(f"now {one}" for one in self.adjusted)])


def supersede(graph: World, old: int | Match, new: NewFact, valid_from: str | None) -> Superseded:
    """Have one fact hold until a time and another from then on. Raises Refused."""
    row, then = the_fact(View(graph), old), _moment(graph, new, valid_from)
    if row.kind not in (Kind.ENTITY, Kind.OBSERVATION, Kind.RELATION):
        raise Refused("not_superseded", f"Fact {row.id} is of kind {row.kind}.", hint="Use retract_facts.")
    if new.kind != row.kind:
        raise Refused(
            "not_alike",
            f"Fact {row.id} is of kind {row.kind}, and what is to take its place of kind {new.kind}.",
            hint="Use assert_facts for the new one; give it and the old one times, or retract the old one.",
        )
    _insist_on_time_left(row, then)
    wanted = {**new.fact(), "valid_from": then}
    if wanted["valid_to"] is not None and wanted["valid_to"] <= then:
        raise Refused("held_never", f"The new fact would hold from {then} to {wanted['valid_to']}.")
    draft = Draft(graph, [{name: getattr(row, name) for name in COLUMNS}, wanted])
    if isinstance(new, ObservationFact) and not draft.has_entity(wanted):
        raise _no_entity(new.name)
    before = draft.of(row)
    draft.shorten(before, then)
    after = draft.tell(wanted)
    draft.finish()
    adjusted = _adjusted(draft, [before, after])
    return Superseded(old=before.shown, new=after.shown, adjusted=adjusted, ended=_ended(draft))


def _moment(graph: World, new: NewFact, valid_from: str | None) -> str:
    if valid_from is not None and new.valid_from not in (None, valid_from):
        raise Refused(
            "two_times",
            f"The new fact is to hold from {valid_from}, and says that it does from {new.valid_from}.",
            hint="Give valid_from once.",
        )
    return valid_from or new.valid_from or instant(graph.now)


def _insist_on_time_left(row: Fact, then: str) -> None:
    if row.valid_from is not None and row.valid_from >= then:
        raise Refused(
            "began_later",
            f"Fact {row.id} began to hold at {row.valid_from}: nothing would be left of it before {then}.",
            hint="If it never held, use retract_facts and assert_facts.",
        )
    if row.valid_to is not None and row.valid_to <= then:
        raise Refused(
            "over_already", f"Fact {row.id} held until {row.valid_to}, and not at {then}.", hint="Use assert_facts."
        )


def _no_entity(name: str) -> Refused:
    return Refused(
        "no_such_entity",
        f"Entity with name {brief(name, QUOTED)} not found.",
        hint="Tell a fact of kind entity of it, in the same call or before.",
    )
