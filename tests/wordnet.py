"""WordNet 3.0's files, as Debian's `wordnet-base` installs them, read as entities and relations.

Line formats are those of wndb(5WN). Synsets are named by their first word, part of speech and sense: `dog.n.01`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path("/usr/share/wordnet")
PARTS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
POINTERS = {
    "!": "antonym",
    "@": "hypernym",
    "@i": "instance_hypernym",
    "~": "hyponym",
    "~i": "instance_hyponym",
    "#m": "member_holonym",
    "#s": "substance_holonym",
    "#p": "part_holonym",
    "%m": "member_meronym",
    "%s": "substance_meronym",
    "%p": "part_meronym",
    "=": "attribute",
    "+": "derivationally_related",
    ";c": "domain_of_topic",
    "-c": "member_of_topic",
    ";r": "domain_of_region",
    "-r": "member_of_region",
    ";u": "domain_of_usage",
    "-u": "member_of_usage",
    "*": "entails",
    ">": "causes",
    "^": "also_see",
    "$": "verb_group",
    "&": "similar_to",
    "<": "participle_of",
    "\\": "pertains_to",
}
Relation = tuple[str, str, str]
TYPES = {"n": "noun", "v": "verb", "a": "adjective", "s": "adjective", "r": "adverb"}


@dataclass(frozen=True, slots=True)
class Synset:
    """Words of one meaning. `pointers` are (kind, part of speech, offset), also those between single words."""

    name: str
    type: str
    words: tuple[str, ...]
    gloss: str
    pointers: tuple[tuple[str, str, int], ...]


def synsets(folder: Path = FOLDER) -> dict[tuple[str, int], Synset]:
    """All synsets, by part of speech and offset."""
    senses = {letter: _senses(folder / f"index.{part}") for part, letter in PARTS.items()}
    return {
        (letter, int(line[:8])): _synset(line, senses[letter])
        for part, letter in PARTS.items()
        for line in _lines(folder / f"data.{part}")
    }


def relations(found: Mapping[tuple[str, int], Synset]) -> Iterator[Relation]:
    """The pointers as (from, type, to); two that join the same synsets by other words come twice."""
    for synset in found.values():
        for kind, part, offset in synset.pointers:
            yield synset.name, kind, found[part, offset].name


def write_memory(path: Path, some: Iterable[Synset], related: Iterable[Relation]) -> None:
    """Write synsets and relations as a memory server's JSONL."""
    with path.open("w", encoding="utf-8") as file:
        for synset in some:
            file.write(json.dumps({"type": "entity", **told(synset)}, ensure_ascii=False) + "\n")
        for source, kind, target in related:
            relation = {"type": "relation", "from": source, "to": target, "relationType": kind}
            file.write(json.dumps(relation, ensure_ascii=False) + "\n")


def told(synset: Synset) -> dict[str, Any]:
    """A synset as a memory server tells of it."""
    observed = [synset.gloss, f"words: {', '.join(synset.words)}"]
    return {"name": synset.name, "entityType": synset.type, "observations": observed}


def _lines(path: Path) -> Iterator[str]:
    """The lines of a file, but for the licence that it begins with."""
    with path.open(encoding="utf-8") as file:
        yield from (line for line in file if not line.startswith(" "))


def _senses(path: Path) -> dict[tuple[str, int], int]:
    """Which sense of a word each synset is, from 1, by word and offset."""
    found = {}
    for line in _lines(path):
        word, *fields = line.split()
        count = int(fields[1])
        for place, offset in enumerate(fields[-count:], 1):
            found[word, int(offset)] = place
    return found


def _synset(line: str, senses: dict[tuple[str, int], int]) -> Synset:
    facts, _, gloss = line.partition(" | ")
    offset, _, letter, count, *fields = facts.split()
    end = 2 * int(count, 16)
    words = tuple(word.partition("(")[0] for word in fields[:end:2])
    pointers = fields[end + 1 : end + 1 + 4 * int(fields[end])]
    first = words[0].lower()
    return Synset(
        name=f"{first}.{letter}.{senses[first, int(offset)]:02}",
        type=TYPES[letter],
        words=tuple(word.replace("_", " ") for word in words),
        gloss=gloss.strip(),
        pointers=tuple(
            (POINTERS[pointers[at]], pointers[at + 2], int(pointers[at + 1])) for at in range(0, len(pointers), 4)
        ),
    )
