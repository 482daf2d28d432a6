"""Words in, commands out: what a player means, in the words of the grammar and of the story."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from worlds.adventure.game import Game, Question, carries, is_inside, reachable, visible
from worlds.adventure.grammar import (
    ALL_SENTENCES,
    DIRECTION_WORDS,
    SENTENCE_WORDS,
    VERB_WORDS,
    Sentence,
)
from worlds.adventure.story import PLAYER, Story, Thing

_ARTICLES = frozenset({"the", "a", "an", "some", "my", "this", "that", "these", "those"})
_PRONOUNS = frozenset({"it", "him", "her", "them"})
_SELF = frozenset({"me", "myself", "self", "yourself"})
_GLUE = _ARTICLES | _PRONOUNS | _SELF | {"and", "then", "all", "everything", "but", "except", "again", "g", "of", "one"}
_FREE_SPEECH = frozenset({"ask", "tell", "say", "write", "hint"})
_LISTS = frozenset({"take", "drop", "put", "examine", "wear", "remove", "give", "show", "throw", "eat", "drink"})
_COURTESY = re.compile(r"^(?:please|now|just|i want to|i would like to|let's|lets|try to|can you|go and)\s+")


@dataclass(frozen=True, slots=True)
class Command:
    """What the player means. `nouns` and `second` are thing ids; `notes` say how the words were understood."""

    verb: str
    nouns: tuple[str, ...] = ()
    second: str | None = None
    topic: str = ""
    direction: str = ""
    notes: tuple[str, ...] = ()
    listed: bool = False

    @property
    def noun(self) -> str | None:
        """The first thing it is about."""
        return self.nouns[0] if self.nouns else None


class Unclear(Exception):
    """Words that make no command; `question` is set where an answer would make them one."""

    def __init__(self, text: str, question: Question | None = None) -> None:
        super().__init__(text)
        self.question = question


@dataclass(frozen=True, slots=True)
class _Reader:
    story: Story
    game: Game
    verb: str = ""
    clause: str = ""
    seen: tuple[Thing, ...] = field(default=())


def split(story: Story, text: str) -> list[str]:
    """The commands of one input, in order: divided by full stops, semicolons, "then", and "and" before a verb."""
    text = re.sub(r"[^a-z0-9'.;,\- ]", " ", text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    verbs = "|".join(sorted(VERB_WORDS - vocabulary(story)))
    parts = re.split(rf"[.;]|,?\s*\b(?:and\s+)?then\b|,?\s+and\s+(?=(?:{verbs})\b)", text)
    return [clause for part in parts if (clause := _clean(part))]


def _clean(clause: str) -> str:
    clause = " ".join(clause.replace(",", " , ").split()).strip(", ")
    return _COURTESY.sub("", clause)


def parse(story: Story, game: Game, clause: str) -> Command:
    """The command one clause makes here and now. Raises Unclear."""
    seen = tuple(visible(story, game))
    clause, notes = _correct(story, seen, clause)
    failures = []
    for sentence, slots in _readings(clause):
        reader = _Reader(story, game, sentence.verb, clause, seen)
        try:
            return _command(reader, sentence, slots, notes)
        except Unclear as unclear:
            failures.append(unclear)
    raise _best(failures) or _no_sentence(_Reader(story, game, "", clause, seen))


def _readings(clause: str) -> Iterator[tuple[Sentence, Mapping[str, str]]]:
    for sentence in ALL_SENTENCES:
        match = sentence.pattern.fullmatch(clause)
        if match and ("d" not in match.groupdict() or _direction(match["d"])):
            yield sentence, match.groupdict()


def _best(failures: list[Unclear]) -> Unclear | None:
    asking = [failure for failure in failures if failure.question and failure.question.options]
    return next(iter(asking or failures), None)


def _direction(words: str) -> str:
    return DIRECTION_WORDS.get(words.removeprefix("the "), "")


def _command(reader: _Reader, sentence: Sentence, slots: Mapping[str, str], notes: tuple[str, ...]) -> Command:
    if sentence.asks:
        raise Unclear(f"What do you want to {reader.clause}?", Question(clause=f"{reader.clause} {{}}"))
    second = _second(reader, slots["y"]) if "y" in slots else None
    nouns, listed = _nouns(reader, slots["x"], second) if "x" in slots else ((), False)
    return Command(sentence.verb, nouns, second, slots.get("t", ""), _direction(slots.get("d", "")), notes, listed)


def _second(reader: _Reader, phrase: str) -> str:
    found = _noun(reader, phrase)
    if len(found) > 1:
        raise Unclear("Only one thing can come last in that sentence.")
    return found[0]


def _nouns(reader: _Reader, phrase: str, second: str | None) -> tuple[tuple[str, ...], bool]:
    """The things a phrase names, and whether it was a list."""
    everything = re.fullmatch(r"(?:all|everything)(?: ,? ?(?:but|except|except for) (.+))?", phrase)
    if everything:
        spared = _several(reader, everything[1]) if everything[1] else ()
        return _all(reader, spared, second), True
    found = _several(reader, phrase)
    if len(found) > 1 and reader.verb not in _LISTS:
        raise Unclear(f"One thing at a time, if you want to {reader.verb}.")
    return found, len(found) > 1


def _several(reader: _Reader, phrase: str) -> tuple[str, ...]:
    parts = [part for part in re.split(r"(?:\s*,\s*|\s+and\s+)+(?:and\s+)?", phrase) if part]
    found = [thing for part in parts for thing in _noun(reader, part)]
    return tuple(dict.fromkeys(found))


def _all(reader: _Reader, spared: tuple[str, ...], second: str | None) -> tuple[str, ...]:
    story, game = reader.story, reader.game
    if reader.verb == "take":
        found = [thing for thing in reachable(story, game) if thing.portable and not is_inside(game, thing.id, PLAYER)]
        found = [thing for thing in found if second is None or is_inside(game, thing.id, second)]
    elif reader.verb in {"drop", "put"}:
        found = [thing for thing in reader.seen if carries(game, thing.id) and thing.id not in game.worn]
    else:
        raise Unclear(f"One thing at a time, if you want to {reader.verb}.")
    left = tuple(thing.id for thing in found if thing.id not in spared and thing.id != second)
    if not left:
        raise Unclear(f"There is nothing here to {reader.verb}.")
    return left


def _noun(reader: _Reader, phrase: str) -> tuple[str, ...]:
    """The thing a phrase names; more than one only for "them"."""
    if phrase.startswith("#"):
        return (_pinned(reader, phrase[1:]),)
    words = [word for word in phrase.split() if word not in _ARTICLES]
    if len(words) == 1 and words[0] in _PRONOUNS:
        return _pronoun(reader, words[0])
    if len(words) == 1 and words[0] in _SELF:
        return _self(reader)
    found = _prefer(reader, _matches(reader.seen, words))
    if not found:
        raise Unclear(_not_here(reader, words or [phrase]))
    if len(found) > 1:
        raise _which(reader, phrase, found)
    return (found[0].id,)


def _pinned(reader: _Reader, thing_id: str) -> str:
    if all(thing.id != thing_id for thing in reader.seen):
        raise Unclear("That is not here any more.")
    return thing_id


def _pronoun(reader: _Reader, word: str) -> tuple[str, ...]:
    talk = reader.game.talk
    meant = talk.them if word == "them" and talk.them else [talk.it] if talk.it else []
    if not meant:
        raise Unclear(f'It is not clear what "{word}" means here. Name the thing.')
    seen = [thing for thing in meant if any(thing == each.id for each in reader.seen)]
    if not seen:
        raise Unclear(f"You cannot see {reader.story.things[meant[0]].the} now.")
    return tuple(seen)


def _self(reader: _Reader) -> tuple[str, ...]:
    if reader.verb != "examine":
        raise Unclear("Leave yourself out of this; you are needed whole.")
    return (PLAYER,)


def _matches(things: tuple[Thing, ...], words: list[str]) -> list[Thing]:
    """The things all words fit; names said in full, then nouns, come before mere adjectives."""
    fitting = [thing for thing in things if words and set(words) <= thing.words]
    said = " ".join(words)
    full = [thing for thing in fitting if said in {thing.name.lower(), *map(str.lower, thing.synonyms)}]
    nouns = [thing for thing in fitting if thing.nouns & set(words)]
    return full or nouns or fitting


def _prefer(reader: _Reader, found: list[Thing]) -> list[Thing]:
    """Those of several things that make most sense with the verb."""
    sensible = _SENSIBLE.get(reader.verb, lambda game, thing: True)
    for test in (sensible, lambda game, thing: not thing.scenery):
        if len(found) > 1:
            found = [thing for thing in found if test(reader.game, thing)] or found
    return found


_SENSIBLE: Mapping[str, Callable[[Game, Thing], bool]] = {
    "take": lambda game, thing: thing.portable and not is_inside(game, thing.id, PLAYER),
    "drop": lambda game, thing: carries(game, thing.id),
    "give": lambda game, thing: carries(game, thing.id) or thing.creature,
    "show": lambda game, thing: carries(game, thing.id) or thing.creature,
    "throw": lambda game, thing: carries(game, thing.id) or not thing.portable,
    "open": lambda game, thing: thing.openable,
    "close": lambda game, thing: thing.openable,
    "unlock": lambda game, thing: thing.key is not None or carries(game, thing.id),
    "lock": lambda game, thing: thing.key is not None or carries(game, thing.id),
    "light": lambda game, thing: thing.light is not None,
    "extinguish": lambda game, thing: thing.light is not None,
    "fill": lambda game, thing: thing.light is not None,
    "read": lambda game, thing: bool(thing.read),
    "wear": lambda game, thing: thing.wearable,
    "remove": lambda game, thing: thing.id in game.worn,
    "enter": lambda game, thing: thing.door or thing.leads is not None,
    "climb": lambda game, thing: thing.leads is not None,
    "talk": lambda game, thing: thing.creature,
    "ask": lambda game, thing: thing.creature,
    "tell": lambda game, thing: thing.creature,
    "catch": lambda game, thing: thing.creature or carries(game, thing.id),
}


def _which(reader: _Reader, phrase: str, found: list[Thing]) -> Unclear:
    *most, last = [thing.the for thing in found]
    question = Question(clause=_gap(reader.clause, phrase), options=[thing.id for thing in found])
    return Unclear(f"Which {phrase.split()[-1]} do you mean, {', '.join(most)} or {last}?", question)


def _gap(clause: str, phrase: str) -> str:
    return re.sub(rf"(?<!\S){re.escape(phrase)}(?!\S)", "{}", clause, count=1)


def _not_here(reader: _Reader, words: list[str]) -> str:
    known = vocabulary(reader.story) | SENTENCE_WORDS | _GLUE | {*DIRECTION_WORDS}
    strange = next((word for word in words if word not in known), None)
    if strange:
        return f'This story does not know the word "{strange}".'
    return f"You can see no {' '.join(words)} here."


def _no_sentence(reader: _Reader) -> Unclear:
    words = reader.clause.split()
    meant = _matches(reader.seen, [word for word in words if word not in _ARTICLES])
    if meant:
        return Unclear(f"What do you want to do with {meant[0].the}?")
    if words[0] in VERB_WORDS:
        return Unclear(f'I follow "{words[0]}", but not the rest of that sentence. Try fewer words.')
    return Unclear(f'"{words[0]}" is no verb this story knows. HELP lists those that work.')


def _correct(story: Story, seen: tuple[Thing, ...], clause: str) -> tuple[str, tuple[str, ...]]:
    """The clause with its typing errors mended, and a note for each. Only words in sight are guessed."""
    words = clause.split()
    if words and words[0] in _FREE_SPEECH:
        return clause, ()
    known = vocabulary(story) | SENTENCE_WORDS | _GLUE | {*DIRECTION_WORDS}
    here = {word for thing in seen for word in thing.words}
    notes = []
    for place, word in enumerate(words):
        if word in known or len(word) < 4 or word.startswith("#"):
            continue
        if close := get_close_matches(word, sorted({*VERB_WORDS, *DIRECTION_WORDS} if place == 0 else here), 1, 0.8):
            words[place] = close[0]
            notes.append(f'(taking "{word}" to mean {close[0]})')
    return " ".join(words), tuple(notes)


def answer(story: Story, question: Question, text: str) -> str | None:
    """The clause an answer to a question makes, or None if the text is no answer but a new command."""
    clauses = split(story, text)
    words = [word for word in (clauses or [""])[0].split() if word not in _ARTICLES | {"one"}]
    if len(clauses) != 1 or not words:
        return None
    if not question.options:
        new = words[0] in VERB_WORDS or " ".join(words) in DIRECTION_WORDS
        return None if new and words[0] not in vocabulary(story) else question.clause.format(" ".join(words))
    found = _matches(tuple(story.things[option] for option in question.options), words)
    return question.clause.format(f"#{found[0].id}") if len(found) == 1 else None


def vocabulary(story: Story) -> frozenset[str]:
    """Every word of the story's own."""
    return frozenset(word for thing in story.things.values() for word in thing.words)
