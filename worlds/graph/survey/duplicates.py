"""Likely duplicates: entities whose names are alike, with what speaks for their being one."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, Field
from sqlmodel import col

from worlds.graph.facts import Fact, Kind
from worlds.graph.recalled import recalled, size_of
from worlds.graph.survey.likeness import Likeness, alike
from worlds.graph.view import View, chunks

WEIGHED = 5
"""How many times as many pairs as are told are looked into."""
READ = 20_000
"""Facts that are read to look into them."""
LONGEST = 500
"""Characters of a name that are told; of longer ones none are, since a call needs the whole."""


class Duplicate(BaseModel):
    """Two entities that may be one: how likely, why, and the call of `merge` that makes them one."""

    keep: str = Field(description="the one of which more is known, or that was told first")
    other: str
    types: list[str]
    score: float = Field(description="from 0 to 1: an estimate to sort by, not a probability")
    why: list[str]
    merge: dict[str, Any] = Field(description="the arguments of the tool merge that would join them")


class Duplicates(BaseModel):
    """Likely duplicates, the likeliest first. `exact` is false where not all names were compared; `how` says which."""

    pairs: list[Duplicate]
    left_out: int = Field(description="how many further pairs may be as likely; not all of them were compared in full")
    entities: int
    exact: bool
    how: str

    def __str__(self) -> str:
        lines = [f"{one.score:.2f}  {one.other} = {one.keep}: {'; '.join(one.why)}" for one in self.pairs]
        more = [f"and {self.left_out:,} more"] if self.left_out else []
        found = f"{len(self.pairs)} likely duplicates among {self.entities:,} entities ({self.how})."
        return "\n".join([found, *lines, *more])


class Known:
    """What is known of an entity: its neighbours, and what was observed of it."""

    def __init__(self) -> None:
        self.neighbours: set[int] = set()
        self.observed: set[str] = set()

    @property
    def much(self) -> int:
        return len(self.neighbours) + len(self.observed)


def duplicates(view: View, limit: int, threshold: float) -> Duplicates:
    """The likeliest pairs of entities that may be one, of that score at least."""
    return recalled(view, lambda: _duplicates(view, limit, threshold), "duplicates", limit, threshold, size=size_of)


def _duplicates(view: View, limit: int, threshold: float) -> Duplicates:
    entities = _entities(view)
    numbers, names = list(entities), [name for name, _ in entities.values()]
    types = [type for _, type in entities.values()]
    found = alike(names, max(0.5, (threshold - 0.25) / 0.75))
    likely = sorted(found.pairs, key=lambda like: (-_guessed(like, types), like.one, like.other))
    likely = [like for like in likely if _guessed(like, types) + 0.1 >= threshold]
    known, whole = _known(
        view, {numbers[place] for like in likely[: limit * WEIGHED] for place in (like.one, like.other)}
    )
    told = [
        _judged(like, names, types, known[numbers[like.one]], known[numbers[like.other]], numbers)
        for like in likely[: limit * WEIGHED]
    ]
    fit = sorted((one for one in told if one.score >= threshold), key=lambda one: (-one.score, one.keep, one.other))
    partly = [found.partly] if found.partly else []
    partly += [] if whole else [f"{READ:,} facts about them were read"]
    more = len(fit[limit:]) + len(likely[limit * WEIGHED :])
    how = "; ".join(["in part", *partly]) if partly else "all names were compared"
    return Duplicates(pairs=fit[:limit], left_out=more, entities=len(entities), exact=not partly, how=how)


def _entities(view: View) -> dict[int, tuple[str, str]]:
    """Entities by number, in the order they were told: name and type. Those that were merged are not there again."""
    found = view.select(Fact.node, Fact.subject, Fact.type, where=(col(Fact.kind) == Kind.ENTITY.value,))
    told: dict[int, tuple[str, str]] = {}
    for number, name, type in sorted(found, key=lambda row: row[0] in view.aliases):
        stands = view.standing_for(number, name)
        if len(stands.name) <= LONGEST:
            told.setdefault(stands.node, (stands.name, type))
    return told


def _guessed(like: Likeness, types: Sequence[str]) -> float:
    """How likely two names are one by themselves."""
    return 0.75 * like.share + (0.15 if types[like.one] == types[like.other] else 0.0)


def _known(view: View, numbers: Iterable[int]) -> tuple[defaultdict[int, Known], bool]:
    """What is known of entities, and whether all of it was read."""
    known: defaultdict[int, Known] = defaultdict(Known)
    wanted, read = view.all_names(sorted(numbers)), 0
    stands = {number: name.node for number, name in view.aliases.items()}
    for some in chunks(wanted):
        columns = (Fact.id, Fact.kind, Fact.node, Fact.target, Fact.object)
        facts = view.touching(*columns, nodes=some, kinds=(Kind.RELATION, Kind.OBSERVATION), most=READ - read)
        for _, kind, node, target, text in facts:
            node, target = stands.get(node, node), stands.get(target, target)
            if kind == Kind.OBSERVATION.value:
                known[node].observed.add(text)
            elif node != target:
                known[node].neighbours.add(target)
                known[target].neighbours.add(node)
        read += len(facts)
        if read >= READ:
            return known, False
    return known, True


def _judged(
    like: Likeness, names: Sequence[str], types: Sequence[str], one: Known, other: Known, numbers: Sequence[int]
) -> Duplicate:
    """A pair with all that speaks for it and against."""
    why = [like.why if like.share >= 0.97 else f"{like.why} ({like.share:.0%} of the letters in threes)"]
    score = _guessed(like, types)
    if types[like.one] == types[like.other]:
        why.append(f"both are of type {types[like.one]!r:.60}")
    for what, mine, theirs in (
        ("neighbours", one.neighbours, other.neighbours),
        ("observations", one.observed, other.observed),
    ):
        if common := len(mine & theirs):
            why.append(f"{common} {what} in common")
    score += 0.1 * max(_shared(one.neighbours, other.neighbours), _shared(one.observed, other.observed))
    if numbers[like.other] in one.neighbours:
        score -= 0.1
        why.append("but they are related to each other")
    keep, gone = (like.other, like.one) if other.much > one.much else (like.one, like.other)
    return Duplicate(
        keep=names[keep],
        other=names[gone],
        types=list(dict.fromkeys((types[keep][:LONGEST], types[gone][:LONGEST]))),
        score=round(score, 3),
        why=why,
        merge={"names": [names[gone]], "into": names[keep]},
    )


def _shared(one: set[Any], other: set[Any]) -> float:
    return len(one & other) / len(one | other) if one & other else 0.0
