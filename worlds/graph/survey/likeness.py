"""Names that are nearly the same: in other letters, spacing or order, or with a slip in the spelling."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import ceil

from worlds.graph.facts import words

COUNTED = 200
"""Characters of a name that are compared."""
EVERY = 5_000
"""Names, up to which each is compared with every one that has letters in common with it; more, with those beside it."""
COMPARED = 150_000
"""Pairs of names that are compared letter by letter, at most."""
ALIKE = 50
"""Names of one reading, of which each pair is told."""
_DIGITS = re.compile(r"\d+")
_PLAIN = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Likeness:
    """Two names by place, the first told first; how like they are, from 0 to 1; and why."""

    one: int
    other: int
    share: float
    why: str


@dataclass(frozen=True, slots=True)
class Found:
    """What was found alike; `partly` says what was not looked into, if anything was not."""

    pairs: Sequence[Likeness]
    partly: str | None


def reading(name: str) -> str:
    """A name without case, accents, punctuation and what spacing there is beside one space."""
    short = name[:COUNTED]
    return " ".join(_PLAIN.findall(short.lower())) if short.isascii() else words(short)


def alike(names: Sequence[str], least: float) -> Found:
    """Which of these names are alike by so much at least."""
    readings = [reading(name) for name in names]
    found: dict[tuple[int, int], Likeness] = {}
    partly: list[str] = []
    for key, why in ((_close, "the same but for case, accents, spacing or punctuation"), (_sorted, "the same words")):
        for group in _grouped(readings, key):
            if len(group) > ALIKE:
                partly.append(f"of {len(group):,} names that read {key(readings[group[0]])[:40]!r}, {ALIKE} were taken")
            for one, other in combinations(group[:ALIKE], 2):
                share = 1.0 if key is _close else 0.97
                found.setdefault((one, other), Likeness(one, other, share, why))
    distinct = [group[0] for group in _grouped(readings, _close, least=1)]
    pairs, rest = _candidates(readings, distinct, least)
    for one, other in pairs:
        share = dice(readings[one], readings[other])
        if share >= least and _numbers(readings[one]) == _numbers(readings[other]):
            place = (min(one, other), max(one, other))
            found.setdefault(place, Likeness(*place, share, "spelt nearly the same"))
    ordered = sorted(found.values(), key=lambda like: (-like.share, like.one, like.other))
    return Found(ordered, "; ".join([*partly, *rest]) or None)


def dice(one: str, other: str) -> float:
    """How many of their trigrams two readings have in common, as a share of all that they have."""
    mine, theirs = trigrams(one), trigrams(other)
    together = len(mine) + len(theirs)
    return 2 * len(mine & theirs) / together if together else 0.0


def trigrams(reading: str) -> frozenset[str]:
    """Each three letters in a row, of words with room around them."""
    return frozenset(
        padded[at : at + 3] for word in reading.split() for padded in (f"  {word} ",) for at in range(len(padded) - 2)
    )


def _close(reading: str) -> str:
    return reading.replace(" ", "")


def _sorted(reading: str) -> str:
    return " ".join(sorted(reading.split()))


def _numbers(reading: str) -> list[str]:
    """Numbers in a name tell things apart: Room 12 is not Room 13."""
    return sorted(_DIGITS.findall(reading))


def _grouped(readings: Sequence[str], key: Callable[[str], str], least: int = 2) -> list[list[int]]:
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for place, reading in enumerate(readings):
        if reading:
            groups[key(reading)].append(place)
    return [group for group in groups.values() if len(group) >= least]


def _candidates(
    readings: Sequence[str], places: Sequence[int], least: float
) -> tuple[list[tuple[int, int]], list[str]]:
    """Pairs that are worth comparing, and what was left out of them."""
    if len(places) > EVERY:
        said = f"slips in spelling were looked for among names that begin or end alike, not among all {len(places):,}"
        return list(dict.fromkeys(_beside(readings, places))), [said]
    pairs = list(_sharing(readings, places, least))
    return pairs[:COMPARED], [f"{COMPARED:,} pairs were compared by their spelling"] if len(pairs) > COMPARED else []


def _sharing(readings: Sequence[str], places: Sequence[int], least: float) -> Iterator[tuple[int, int]]:
    """Pairs that have one of their rarest trigrams in common, as all do that are alike enough (prefix filtering)."""
    grams = {place: trigrams(readings[place]) for place in places}
    often = Counter(gram for own in grams.values() for gram in own)
    having: defaultdict[str, list[int]] = defaultdict(list)
    needed = least / (2 - least)
    told = 0
    for place, own in grams.items():
        rarest = sorted(own, key=lambda gram: (often[gram], gram))[: len(own) - ceil(needed * len(own)) + 1]
        before = {other for gram in rarest for other in having[gram]}
        for other in sorted(before):
            if needed * len(own) <= len(grams[other]) <= len(own) / needed:
                yield other, place
                told += 1
        for gram in rarest:
            having[gram].append(place)
        if told > COMPARED:
            return


def _beside(readings: Sequence[str], places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Pairs beside each other in the order of their beginnings or endings, that differ in one place by little."""
    for turned in (False, True):
        spelt = ((_close(readings[place])[:: -1 if turned else 1], place) for place in places)
        for (one, here), (other, there) in pairwise(sorted(spelt)):
            if abs(len(one) - len(other)) <= 2 and _apart(one, other) <= 2:
                yield min(here, there), max(here, there)


def _apart(one: str, other: str) -> int:
    """How many letters of the longer lie between what two texts begin and end with in common."""
    shorter, longer = sorted((one, other), key=len)
    same = 0
    while same < len(shorter) and shorter[same] == longer[same]:
        same += 1
    end = 0
    while end < len(shorter) - same and shorter[-1 - end] == longer[-1 - end]:
        end += 1
    return len(longer) - same - end
