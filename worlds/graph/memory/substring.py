"""Looking for a text anywhere in names, types and observations, in whatever case, as the memory server does.

Case is JavaScript's `toLowerCase`, which Python's `str.lower` agrees with, and databases do not. So the database
is asked for what may fit, and never misses any; what does is seen here.
"""

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

from sqlmodel import and_, col, func, or_, select

from worlds.graph.facts import Fact, Kind
from worlds.graph.memory.replies import too_large
from worlds.graph.view import View

PAGE = 5_000
"""Facts that are looked at, at a time."""
SMALLEST = 60
"""Bytes that an entity takes in an answer, at least."""
LONGEST = 200
"""Characters of the text that the database looks for."""
SPELT_OUT = 3
"""Letters that the database is given in each case; what it takes for the rest is any character."""
KELVIN, DOTTED = "\N{KELVIN SIGN}", "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}"
"""The characters beyond ASCII whose lower case begins with a letter of ASCII."""
VAGUE = {"k": "_", "i": "_", "\N{COMBINING DOT ABOVE}": "%"}
"""What the database takes for characters that come of those, or that some language has another lower case for."""
SIGMAS = ("\N{GREEK SMALL LETTER SIGMA}", "\N{GREEK SMALL LETTER FINAL SIGMA}")
"""The lower cases of one capital, by where it stands in a word."""


def nodes(view: View, wanted: str) -> tuple[set[int], set[int]]:
    """The numbers of the entities that have a lower-case text somewhere; those that have it in another of their names.

    Raises Refused if they are more than an answer holds.
    """
    found: set[int] = set()
    by_other_name: set[int] = set()
    for kind, number, name, type, text in _candidates(view, wanted):
        texts = {Kind.ENTITY.value: (name, type), Kind.ALIAS.value: (name,)}.get(kind, (text,))
        if not any(wanted in one.lower() for one in texts):
            continue
        stands = view.standing_for(number, name).node
        found.add(stands)
        if stands != number and kind != Kind.OBSERVATION.value:
            by_other_name.add(stands)
        if len(found) * SMALLEST > view.graph.limits.result:
            raise too_large(view.graph, "search_nodes")
    return found, by_other_name


def _candidates(view: View, wanted: str) -> Iterator[Any]:
    """The facts that may have a text, as kind, number, subject, type and object."""
    if "\0" in wanted:  # which no fact has
        return
    columns: tuple[Any, ...] = (Fact.id, Fact.kind, Fact.node, Fact.subject, Fact.type, Fact.object)
    found = select(*columns).where(*view.conditions(), _may_have(wanted)).order_by(col(Fact.id)).limit(PAGE)
    last = 0
    while True:
        page = view.graph.select(found.where(view.graph.rows(Fact).after(last)))
        yield from (row[1:] for row in page)
        if len(page) < PAGE:
            return
        last = page[-1][0]


def _may_have(wanted: str) -> Any:
    names, types, texts = (_in_column(column, wanted) for column in (Fact.subject, Fact.type, Fact.object))
    kind = col(Fact.kind)
    return or_(
        and_(kind == Kind.ENTITY.value, or_(names, types)),
        and_(kind == Kind.OBSERVATION.value, texts),
        and_(kind == Kind.ALIAS.value, names),
    )


def _in_column(column: Any, wanted: str) -> Any:
    return or_(*(func.lower(col(column)).like(f"%{pattern}%", escape="/") for pattern in patterns(wanted)))


def patterns(wanted: str) -> list[str]:
    """LIKE patterns of which one fits each text that has this one in lower case, and some that have not.

    They fit however much the database's own `lower` does: ASCII's letters or all, by whichever language's rules.
    """
    places: list[tuple[str, ...]] = []
    left = SPELT_OUT
    for char in wanted[:LONGEST]:
        cased = not char.isascii() and char.upper() != char
        places.append(_origins().get(char, (char,)) if cased and left else ("_",) if cased else (_literal(char),))
        left -= cased and left > 0
    return ["".join(chosen) for chosen in product(*places)]


def _literal(char: str) -> str:
    return VAGUE.get(char, f"/{char}" if char in "%_/" else char)


@cache
def _origins() -> dict[str, tuple[str, ...]]:
    """Of each letter beyond ASCII that is a lower case: it, and the letters it is of."""
    found: dict[str, set[str]] = {}
    for char in map(chr, range(0x80, 0x110000)):
        if char.lower() != char and char not in (KELVIN, DOTTED):
            found.setdefault(char.lower(), {char.lower()}).add(char)
    for sigma in SIGMAS:
        found[sigma] = {*SIGMAS, "\N{GREEK CAPITAL LETTER SIGMA}"}
    return {char: tuple(sorted(origins)) for char, origins in found.items()}
