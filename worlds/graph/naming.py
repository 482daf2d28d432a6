"""What names stand for, in a graph and as they are shown: with likely ones where one is unknown."""

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches

from sqlmodel import col

from engine import Refused
from worlds.graph.facts import Fact, Kind, words
from worlds.graph.view import Name, View

TRIED = 500
"""Names that are compared with one that is unknown."""
LIKELY = 5
LONGEST, QUOTED = 1_000, 200
"""Characters of a name that answers show, and that errors do."""


def known(view: View, name: str) -> Name:
    """What a name stands for: an entity, or what relations lead to though it is none. Raises Refused."""
    if (found := found_in(view, name)) is not None:
        return found
    likely = like(view, name)
    hint = f"Is it one of these: {', '.join(map(repr, likely))}?" if likely else "search finds entities by their words."
    raise Refused("no_such_name", f"Nothing in the graph is called {brief(name, QUOTED)!r}.", hint=hint)


def found_in(view: View, name: str) -> Name | None:
    """What a name stands for, or None if there is nothing of that name."""
    named = view.named(name)
    numbers = view.all_names((named.node,))
    things = (Kind.ENTITY.value, Kind.RELATION.value)
    for end, kinds in ((Fact.node, things), (Fact.target, things[1:])):
        if view.select(Fact.id, where=(col(end).in_(numbers), col(Fact.kind).in_(kinds)), most=1):
            return named
    return None


def like(view: View, name: str) -> list[str]:
    """Names of entities that somebody may have meant, the likeliest first."""
    parts = sorted(words(name).split(), key=len, reverse=True)[:3]
    asked = [part for word in parts for part in dict.fromkeys((word, word[: max(3, len(word) // 2)]))]
    found: dict[str, None] = {}
    for part in asked:
        where = (col(Fact.kind) == Kind.ENTITY.value, col(Fact.words).contains(part, autoescape=True))
        found |= dict.fromkeys(subject for (subject,) in view.select(Fact.subject, where=where, most=TRIED))
        if close := _close(name, found):
            return close
    return []


def _close(name: str, names: Iterable[str]) -> list[str]:
    folded: dict[str, str] = {}
    for one in names:
        folded.setdefault(words(one)[:200], one)
    return [brief(folded[one], QUOTED) for one in get_close_matches(words(name)[:200], folded, n=LIKELY, cutoff=0.5)]


def types_of(view: View, numbers: Collection[int]) -> dict[int, str]:
    """The types of those of these that are entities; of merged ones, the own type of what they were merged into."""
    found: dict[int, str] = {}
    told = list(view.about(Fact.node, Fact.type, nodes=view.all_names(numbers), kind=Kind.ENTITY))
    for number, type in sorted(told, key=lambda row: view.standing_for(row[0], "").node != row[0]):
        found.setdefault(view.standing_for(number, "").node, type)
    return found


def several(view: View, names: Sequence[str]) -> tuple[dict[int, str], list[str]]:
    """What names stand for, by number, and which of them nothing is called by. Raises Refused if that is all."""
    found: dict[int, str] = {}
    unknown = []
    for name in dict.fromkeys(names):
        if (one := found_in(view, name)) is None:
            unknown.append(name)
        else:
            found[one.node] = one.name
    if not found:
        known(view, names[0])
    return found, unknown


def brief(text: str, most: int = LONGEST) -> str:
    """A text as answers show it: of a very long one the beginning, and how many characters it has."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"
