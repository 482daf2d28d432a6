"""What is wrong with a story: said all at once, each with what was received and what would be right."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import combinations

import networkx as nx

from worlds.adventure.grammar import DIRECTIONS, SENTENCES
from worlds.adventure.language import COMPARISONS, CONDITIONS, EFFECTS, Clause, Condition
from worlds.adventure.story import HERE, NOWHERE, PLAYER, Passage, Rule, Story, Thing


def problems(story: Story) -> list[str]:
    """Everything that would keep a story from being played, one sentence each."""
    checks = (_rooms, _reach, _things, _nesting, _vocabulary, _rules, _hints, _clauses, _endings, _points, _flags)
    return [problem for check in checks for problem in check(story)]


def _unknown(where: str, name: str, kind: str, known: Iterable[str]) -> str:
    known = list(known)
    close = get_close_matches(name, known, 1)
    right = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(known)) or 'none'}"
    return f"{where}: {name!r} is no {kind}; {right}"


def _rooms(story: Story) -> Iterator[str]:
    if story.start not in story.rooms:
        yield _unknown("start", story.start, "room", story.rooms)
    for room in story.rooms.values():
        for way, leads in room.exits.items():
            here = f"rooms.{room.id}.exits.{way}"
            if way not in DIRECTIONS:
                yield _unknown(here, way, "direction", DIRECTIONS)
            if leads.to not in story.rooms:
                yield _unknown(here, leads.to, "room", story.rooms)
            if leads.door and not (leads.door in story.things and story.things[leads.door].door):
                yield _unknown(here, leads.door, "door", (thing.id for thing in story.things.values() if thing.door))
            if leads.conditions and not leads.refuse:
                yield f"{here}: has conditions and no 'refuse'; say why one cannot go"


def _reach(story: Story) -> Iterator[str]:
    ways: nx.DiGraph[str] = nx.DiGraph(
        (room.id, leads.to) for room in story.rooms.values() for leads in room.exits.values()
    )
    moved = {clause.arguments[0] for _, clause in _effects(story) if clause.word == "go" and clause.arguments}
    reached = {story.start} | moved
    for room in tuple(reached):
        reached |= nx.descendants(ways, room) if room in ways else set()
    for room in story.rooms:
        if room not in reached:
            yield f"rooms.{room}: cannot be reached from {story.start!r}; give a reached room an exit to it"


def _things(story: Story) -> Iterator[str]:
    places = {*story.rooms, *story.things, PLAYER, NOWHERE}
    for thing in story.things.values():
        here = f"things.{thing.id}"
        if thing.id in story.rooms or thing.id in {PLAYER, HERE, NOWHERE}:
            yield f"{here}: the id is taken by a place; choose another"
        if thing.door and len(story.door_rooms(thing.id)) != 2:
            yield f"{here}: a door joins two rooms, not {len(story.door_rooms(thing.id))}; name it in both exits"
        if not thing.door and not thing.place:
            yield f"{here}: is in no place; give it 'in', with \"nowhere\" if it comes later"
        yield from (_unknown(f"{here}.in", place, "place", places) for place in thing.place if place not in places)
        yield from _parts(story, thing)


def _parts(story: Story, thing: Thing) -> Iterator[str]:
    light = thing.light
    named = {"key": thing.key, "light.needs": light and light.needs, "light.refuel": light and light.refuel}
    for part, name in named.items():
        if name and name not in story.things:
            yield _unknown(f"things.{thing.id}.{part}", name, "thing", story.things)
    if thing.leads and thing.leads not in DIRECTIONS:
        yield _unknown(f"things.{thing.id}.leads", thing.leads, "direction", DIRECTIONS)
    for room in thing.agenda.rooms if thing.agenda else ():
        if room not in story.rooms:
            yield _unknown(f"things.{thing.id}.agenda.rooms", room, "room", story.rooms)
    for inner in story.things.values():
        if thing.id in inner.place and not (thing.container or thing.supporter):
            yield f"things.{inner.id}.in: {thing.id!r} is neither a container nor a supporter; make it one"


def _nesting(story: Story) -> Iterator[str]:
    inside: nx.DiGraph[str] = nx.DiGraph((thing.id, place) for thing in story.things.values() for place in thing.place)
    for cycle in nx.simple_cycles(inside):
        yield f"things.{cycle[0]}: is within itself ({' in '.join(cycle)}); put one of them in a room"


def _vocabulary(story: Story) -> Iterator[str]:
    for room in story.rooms:
        here = [
            thing
            for thing in story.things.values()
            if room in thing.place or (thing.door and room in story.door_rooms(thing.id))
        ]
        for one, other in combinations(here, 2):
            if one.words == other.words or one.name.lower() == other.name.lower():
                yield (
                    f"rooms.{room}: {one.id!r} and {other.id!r} are called the same ({one.name!r}); "
                    "give one an adjective the other lacks"
                )


def _rules(story: Story) -> Iterator[str]:
    for number, rule in enumerate(story.rules, 1):
        here = f"rule {number} ({rule.when[0] if rule.when else 'without when'})"
        if not rule.when:
            yield f"{here}: has no 'when'; write a verb and its things, as in \"take lamp\""
        if bool(rule.refuse) == bool(rule.say or rule.do):
            yield f"{here}: must either 'refuse' or 'say' and 'do'"
        for when in rule.when:
            yield from _when(story, here, when)


def _when(story: Story, here: str, when: str) -> Iterator[str]:
    verbs, *slots = when.split() or [""]
    yield from (_unknown(here, verb, "verb", SENTENCES) for verb in verbs.split("|") if verb not in {*SENTENCES, "*"})
    if len(slots) > 2:
        yield f"{here}: {when!r} has {len(slots)} nouns; a command has at most two, join others by '|'"
    topical = {"ask", "tell", "say", "write", "hint"} & {*verbs.split("|")}
    for name in (name for slot in slots for name in slot.split("|")):
        if name not in story.things and name not in DIRECTIONS and name != "*" and not topical:
            yield _unknown(here, name, "thing", story.things)


def _hints(story: Story) -> Iterator[str]:
    ids = [hint.id for hint in story.hints]
    yield from (f"hint {name!r}: is there twice; ids must differ" for name in {*ids} if ids.count(name) > 1)


def _texts(part: object, here: str) -> Iterator[tuple[str, Passage]]:
    """Every conditional passage in a part of the story, with where it is."""
    if isinstance(part, Passage):
        yield here, part
    elif isinstance(part, Mapping):
        for key, value in part.items():
            yield from _texts(value, f"{here}.{key}" if here else str(key))
    elif isinstance(part, tuple | list):
        for value in part:
            yield from _texts(value, here)
    elif hasattr(part, "model_fields_set"):
        for key in type(part).model_fields:  # type: ignore[attr-defined]
            yield from _texts(getattr(part, key), f"{here}.{key}" if here else key)


def _conditions(story: Story) -> Iterator[tuple[str, Condition]]:
    yield from ((here, each) for here, part in _texts(story, "") for each in part.conditions)
    for room in story.rooms.values():
        yield from (
            (f"rooms.{room.id}.exits.{way}", each) for way, leads in room.exits.items() for each in leads.conditions
        )
    yield from ((here, each) for here, rule in _all_rules(story) for each in rule.conditions)
    for hint in story.hints:
        yield from ((f"hint {hint.id!r}", each) for each in (*hint.conditions, *hint.until))
    for thing in story.things.values():
        if thing.agenda:
            yield from (
                (f"things.{thing.id}.agenda", each)
                for each in (*(thing.agenda.follows or ()), *(thing.agenda.flees or ()))
            )


def _all_rules(story: Story) -> Iterator[tuple[str, Rule]]:
    yield from (
        (f"rule {number} ({rule.when[0] if rule.when else ''})", rule) for number, rule in enumerate(story.rules, 1)
    )
    yield from ((f"every_turn {number}", rule) for number, rule in enumerate(story.every_turn, 1))


def _effects(story: Story) -> Iterator[tuple[str, Clause]]:
    return ((here, effect) for here, rule in _all_rules(story) for effect in rule.do)


def _clauses(story: Story) -> Iterator[str]:
    for here, condition in _conditions(story):
        for clause in condition.alternatives:
            yield from _clause(story, here, clause, "condition", CONDITIONS)
    for here, effect in _effects(story):
        yield from _clause(story, here, effect, "effect", EFFECTS)


def _clause(story: Story, here: str, clause: Clause, kind: str, shapes: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    if clause.word not in shapes:
        yield _unknown(here, clause.word, kind, shapes)
        return
    shape = shapes[clause.word]
    if len(shape) != len(clause.arguments):
        right = " ".join((clause.word, *map(str.upper, shape)))
        yield f"{here}: {kind} {str(clause)!r} has {len(clause.arguments)} arguments; write {right!r}"
        return
    known = _known(story)
    for part, argument in zip(shape, clause.arguments, strict=True):
        if part in known and argument not in known[part]:
            yield _unknown(f"{here}: {kind} {str(clause)!r}", argument, part, known[part])
        if part == "number" and not re.fullmatch(r"-?\d+", argument):
            yield f"{here}: {kind} {str(clause)!r}: {argument!r} is no whole number"


def _known(story: Story) -> dict[str, set[str]]:
    moving = {thing.id for thing in story.things.values()}
    return {
        "thing": moving,
        "room": {*story.rooms},
        "place": {*story.rooms, *moving, PLAYER, HERE, NOWHERE},
        "point": {*story.points},
        "ending": {*story.endings},
        "comparison": {*COMPARISONS},
    }


def _endings(story: Story) -> Iterator[str]:
    if not story.endings:
        yield 'endings: there is none; a story needs at least one [endings.ID] and an effect "end ID"'
    reached = {clause.arguments[0] for _, clause in _effects(story) if clause.word == "end" and clause.arguments}
    for ending in story.endings:
        if ending not in reached:
            yield f'endings.{ending}: no rule reaches it; give a rule the effect "end {ending}"'


def _points(story: Story) -> Iterator[str]:
    won = {clause.arguments[0] for _, clause in _effects(story) if clause.word == "score" and clause.arguments}
    yield from (
        f'points.{point}: no rule awards it; give a rule the effect "score {point}"'
        for point in story.points
        if point not in won
    )


def _flags(story: Story) -> Iterator[str]:
    done = {clause.arguments[0] for _, clause in _effects(story) if clause.word == "set" and clause.arguments}
    for here, condition in _conditions(story):
        for clause in condition.alternatives:
            if clause.word == "flag" and clause.arguments and clause.arguments[0] not in done:
                yield _unknown(f"{here}: condition {str(clause)!r}", clause.arguments[0], "flag that is ever set", done)
