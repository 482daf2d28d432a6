"""The two little languages of a story: conditions ("not carrying lamp") and effects ("move key hall").

Both are a word and its arguments, and both are tables: nothing a story says is ever evaluated as code.
"""

from collections.abc import Mapping
from dataclasses import dataclass

CONDITIONS: Mapping[str, tuple[str, ...]] = {
    "flag": ("flag",),
    "here": ("thing",),
    "carrying": ("thing",),
    "worn": ("thing",),
    "in": ("thing", "place"),
    "at": ("room",),
    "visited": ("room",),
    "lit": ("thing",),
    "open": ("thing",),
    "locked": ("thing",),
    "handled": ("thing",),
    "dark": (),
    "scored": ("point",),
    "turn": ("comparison", "number"),
    "counter": ("counter", "comparison", "number"),
    "chance": ("number",),
}
EFFECTS: Mapping[str, tuple[str, ...]] = {
    "say": ("text",),
    "set": ("flag",),
    "clear": ("flag",),
    "add": ("counter", "number"),
    "move": ("thing", "place"),
    "swap": ("thing", "thing"),
    "go": ("room",),
    "open": ("thing",),
    "close": ("thing",),
    "lock": ("thing",),
    "unlock": ("thing",),
    "light": ("thing",),
    "extinguish": ("thing",),
    "burn": ("thing", "number"),
    "score": ("point",),
    "unscore": ("point",),
    "end": ("ending",),
}
COMPARISONS = ("<", "<=", "=", ">=", ">")


@dataclass(frozen=True, slots=True)
class Clause:
    """One word of a little language with its arguments."""

    word: str
    arguments: tuple[str, ...] = ()
    negated: bool = False

    def __str__(self) -> str:
        return " ".join(("not",) * self.negated + (self.word, *self.arguments))


@dataclass(frozen=True, slots=True)
class Condition:
    """What must be true: at least one of its clauses."""

    alternatives: tuple[Clause, ...]


def parse_condition(text: str) -> Condition:
    """The condition that `text` writes: clauses joined by "or", each perhaps after "not"."""
    return Condition(tuple(_parse_clause(part) for part in text.split(" or ")))


def _parse_clause(text: str) -> Clause:
    words = text.split()
    negated = words[:1] == ["not"]
    word, *arguments = words[negated:] or [""]
    return Clause(word, tuple(arguments), negated)


def parse_effect(text: str) -> Clause:
    """The effect that `text` writes; all that follows "say" is one argument."""
    word, _, rest = text.strip().partition(" ")
    return Clause(word, (rest.strip(),) if word == "say" else tuple(rest.split()))
