"""Everything that was ever told about an entity: who told it, when, and what became of it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from pydantic import BaseModel, Field
from sqlmodel import col, or_, select

from engine import Origin, Refused
from worlds.graph.facts import Fact, Import, Kind
from worlds.graph.naming import QUOTED, brief
from worlds.graph.telling.assertions import COLUMNS, LARGEST, Shown, shown_values
from worlds.graph.view import View, chunks

HALF = 32
"""Bits of an id above which a fact's import is numbered."""
SHARE = 3
"""What part of an answer the facts may take: they are in it as value and as text."""


class Recorded(BaseModel):
    """A revision, and where it came from; that is null where the past is no longer kept."""

    revision: int
    at: str | None = None
    action: str | None = Field(None, description="the tool that was called, also undo and redo")
    by: str | None = None
    client: str | None = Field(None, description="the program that it came through")
    about: int | None = Field(None, description="the revision that was undone or done again")

    def __str__(self) -> str:
        told = f" {self.at} {self.action} by {self.by}" if self.at else " (no longer kept)"
        return f"revision {self.revision}{told}" + (f" through {self.client}" if self.client else "")


class Episode(BaseModel):
    """A fact while it stood."""

    fact: Shown
    told: Recorded
    ended: Recorded | None = Field(description="what it ended by; null: it stands")

    def __str__(self) -> str:
        ended = f"; ended {self.ended}" if self.ended else ""
        return f"{self.fact}\n  told {self.told}{ended}"


class History(BaseModel):
    """What was told about an entity, in the order in which it was recorded."""

    name: str
    names: list[str] = Field(description="its other names")
    total: int
    episodes: list[Episode]
    cursor: str | None = Field(description="give it to go on; null: this is the end")

    def __str__(self) -> str:
        more = "" if self.cursor is None else f", more by cursor {self.cursor}"
        head = f"{self.name}: {len(self.episodes)} of {self.total} episodes{more}"
        return "\n".join([head, *map(str, self.episodes)])


@dataclass(frozen=True, slots=True, order=True)
class _Stay:
    """From which revision on a fact stood, and before which; None: it still does."""

    since: int
    id: int
    begun: int
    """The `since` of its row: of what was imported, that was before."""
    until: int | None


def entity_history(view: View, name: str, held_at: str | None, limit: int, cursor: str | None) -> History:
    """What was told about an entity by any of its names, up to the view's revision. Raises Refused."""
    found = view.named(name)
    numbers = view.all_names([found.node])
    stays = sorted(_stays(view, numbers, held_at))
    if not stays:
        raise Refused("no_such_entity", f"Nothing was told of {brief(name, QUOTED)}.", hint="Names are case-sensitive.")
    left = [stay for stay in stays if (stay.since, stay.id) > _place(cursor)]
    episodes = _within(view, _episodes(view, left[:limit]))
    is_whole = len(episodes) == len(left)
    last = left[len(episodes) - 1] if episodes else None
    return History(
        name=brief(found.name),
        names=sorted(brief(other) for other in _spellings(view, numbers) if other != found.name),
        total=len(stays),
        episodes=episodes,
        cursor=None if is_whole or last is None else f"{last.since}.{last.id}",
    )


def _stays(view: View, numbers: Sequence[int], held_at: str | None) -> Iterator[_Stay]:
    """When facts about these names stood, or such as lead to them."""
    imports = _imports(view)
    for id, begun, until in _rows(view, numbers, held_at, Fact.id, Fact.since, Fact.until):
        for first, last in imports.get(id >> HALF, ()) if id >> HALF else ((begun, None),):
            since, end = max(begun, first), min((one for one in (until, last) if one is not None), default=None)
            if (end is None or since < end) and (view.as_of is None or since <= view.as_of):
                yield _Stay(since, id, begun, None if view.as_of is not None and (end or 0) > view.as_of else end)


def _imports(view: View) -> Mapping[int, Sequence[tuple[int, int | None]]]:
    """At which revisions imports stood, by their numbers."""
    found: dict[int, list[tuple[int, int | None]]] = {}
    for id, since, until in view.graph.select(select(Import.id, Import.since, Import.until)):
        found.setdefault(id, []).append((since, until))
    return found


def _rows(view: View, numbers: Sequence[int], held_at: str | None, *columns: Any) -> Iterator[Any]:
    """Columns of the facts about names, or that lead to them, whenever they stood; each once."""
    ends = (Kind.RELATION.value, Kind.ALIAS.value)
    seen = set()
    for some in chunks(numbers):
        about = col(Fact.node).in_(some) & (col(Fact.kind) != Kind.FUNCTIONAL.value)
        to = col(Fact.target).in_(some) & col(Fact.kind).in_(ends)
        # One after the other: of either, SQLite would read all that was told.
        found = (view.graph.select(select(*columns).where(end, *_held(held_at))) for end in (about, to))
        for row in chain.from_iterable(found):
            if row[:2] not in seen:
                seen.add(row[:2])
                yield row


def _held(at: str | None) -> tuple[Any, ...]:
    if at is None:
        return ()
    begun = or_(col(Fact.valid_from).is_(None), col(Fact.valid_from) <= at)
    return (begun, or_(col(Fact.valid_to).is_(None), col(Fact.valid_to) > at))


def _episodes(view: View, stays: Sequence[_Stay]) -> Iterator[Episode]:
    revisions = {stay.since for stay in stays} | {stay.until for stay in stays if stay.until is not None}
    origins = view.graph.origins(revisions)
    columns = [getattr(Fact, name) for name in COLUMNS]
    values = {}
    for some in chunks([stay.id for stay in stays]):
        for id, begun, *row in view.graph.select(select(Fact.id, Fact.since, *columns).where(col(Fact.id).in_(some))):
            values[id, begun] = dict(zip(COLUMNS, row, strict=True))
    for stay in stays:
        fact = shown_values(stay.id, values[stay.id, stay.begun], LARGEST)
        ended = None if stay.until is None else _recorded(stay.until, origins)
        yield Episode(fact=fact, told=_recorded(stay.since, origins), ended=ended)


def _within(view: View, episodes: Iterator[Episode]) -> list[Episode]:
    """The first of them, as far as an answer holds them, and at least one."""
    found: list[Episode] = []
    left = view.graph.limits.result // SHARE
    for episode in episodes:
        left -= len(episode.model_dump_json())
        if left < 0 and found:
            break
        found.append(episode)
    return found


def _recorded(revision: int, origins: Mapping[int, Origin]) -> Recorded:
    found = origins.get(revision)
    if found is None:
        return Recorded(revision=revision)
    names = ("at", "action", "by", "client", "about")
    return Recorded(revision=revision, **{name: getattr(found, name) for name in names})


def _spellings(view: View, numbers: Collection[int]) -> set[str]:
    """How the other names are spelt, as the facts that make them so have them."""
    return {name for (name,) in view.about(Fact.subject, nodes=numbers, kind=Kind.ALIAS)}


def _place(cursor: str | None) -> tuple[int, int]:
    if cursor is None:
        return 0, 0
    since, _, id = cursor.partition(".")
    if not (since.isdecimal() and id.isdecimal() and len(cursor) < 40):
        raise Refused("no_cursor", f"{cursor[:40]!r} is no cursor.", hint="Give one as entity_history answered it.")
    return int(since), int(id)
