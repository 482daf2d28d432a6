"""Conditions, texts and effects at work on a game."""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random

from worlds.adventure.game import Game, is_dark, is_inside, is_locked, is_open, visible
from worlds.adventure.language import Clause, Condition
from worlds.adventure.story import HERE, NOWHERE, PLAYER, Story, Text, Thing

_COMPARE: Mapping[str, Callable[[int, int], bool]] = {
    "<": operator.lt, "<=": operator.le, "=": operator.eq, ">=": operator.ge, ">": operator.gt,
}  # fmt: skip


class Refusal(Exception):
    """A command that cannot be done, with the reason in good prose. Nothing has happened."""


@dataclass(slots=True)
class Scene:
    """One command at work: the story, the game it changes, where chance comes from, and what was said."""

    story: Story
    game: Game
    random: Random
    said: list[str] = field(default_factory=list)

    def say(self, *texts: str) -> None:
        """Add paragraphs to what is told."""
        self.said.extend(text for text in texts if text)

    def thing(self, thing_id: str) -> Thing:
        """The thing of an id."""
        return self.story.things[thing_id]

    def sees(self, thing_id: str) -> bool:
        """Whether a thing is in sight."""
        return any(thing.id == thing_id for thing in visible(self.story, self.game))


def hold(scene: Scene, conditions: Iterable[Condition]) -> bool:
    """Whether all conditions are true now."""
    return all(any(_is_true(scene, clause) for clause in condition.alternatives) for condition in conditions)


def _is_true(scene: Scene, clause: Clause) -> bool:
    return _TESTS[clause.word](scene, *clause.arguments) != clause.negated


def _place(scene: Scene, place: str) -> str:
    return scene.game.room if place == HERE else place


_TESTS: Mapping[str, Callable[..., bool]] = {
    "flag": lambda scene, flag: flag in scene.game.flags,
    "here": lambda scene, thing: scene.sees(thing),
    "carrying": lambda scene, thing: is_inside(scene.game, thing, PLAYER),
    "worn": lambda scene, thing: thing in scene.game.worn,
    "in": lambda scene, thing, place: is_inside(scene.game, thing, _place(scene, place)),
    "at": lambda scene, room: scene.game.room == room,
    "visited": lambda scene, room: room in scene.game.visited,
    "lit": lambda scene, thing: scene.game.lit.get(thing, False),
    "open": lambda scene, thing: is_open(scene.thing(thing), scene.game),
    "locked": lambda scene, thing: is_locked(scene.thing(thing), scene.game),
    "handled": lambda scene, thing: thing in scene.game.handled,
    "dark": lambda scene: is_dark(scene.story, scene.game),
    "scored": lambda scene, point: point in scene.game.points,
    "turn": lambda scene, sign, number: _COMPARE[sign](scene.game.turn, int(number)),
    "counter": lambda scene, name, sign, number: _COMPARE[sign](scene.game.counters.get(name, 0), int(number)),
    "chance": lambda scene, number: scene.random.random() * 100 < int(number),
}


def render(scene: Scene, text: Text) -> str:
    """A text as it reads now."""
    parts = [
        part if isinstance(part, str) else part.text if hold(scene, part.conditions) else part.otherwise
        for part in text
    ]
    return "".join(part if part.startswith("\n") else f" {part}" for part in parts if part).strip()


def carry_out(scene: Scene, effects: Iterable[Clause]) -> None:
    """Do effects, in order."""
    for effect in effects:
        _EFFECTS[effect.word](scene, *effect.arguments)


def move(scene: Scene, thing_id: str, place: str) -> None:
    """Put a thing in a place; what leaves the player is no longer worn."""
    game = scene.game
    game.where[thing_id] = _place(scene, place)
    if place != PLAYER and thing_id in game.worn:
        game.worn.remove(thing_id)
    if place == PLAYER:
        remember(game.handled, thing_id)


def remember(names: list[str], name: str) -> None:
    """Add a name to a list unless it is there."""
    if name not in names:
        names.append(name)


def forget(names: list[str], name: str) -> None:
    """Take a name off a list if it is there."""
    if name in names:
        names.remove(name)


def arrive(scene: Scene, room: str) -> None:
    """Put the player in a room."""
    scene.game.room = room
    remember(scene.game.visited, room)


def _swap(scene: Scene, old: str, new: str) -> None:
    move(scene, new, scene.game.where[old])
    move(scene, old, NOWHERE)


def _add(scene: Scene, counter: str, number: str) -> None:
    scene.game.counters[counter] = scene.game.counters.get(counter, 0) + int(number)


def _burn(scene: Scene, thing: str, number: str) -> None:
    scene.game.fuel[thing] = max(1, scene.game.fuel[thing] - int(number))


def _end(scene: Scene, ending: str) -> None:
    scene.game.ending = ending


_EFFECTS: Mapping[str, Callable[..., None]] = {
    "say": Scene.say,
    "set": lambda scene, flag: remember(scene.game.flags, flag),
    "clear": lambda scene, flag: forget(scene.game.flags, flag),
    "add": _add,
    "move": move,
    "swap": _swap,
    "go": arrive,
    "open": lambda scene, thing: scene.game.open.update({thing: True}),
    "close": lambda scene, thing: scene.game.open.update({thing: False}),
    "lock": lambda scene, thing: scene.game.locked.update({thing: True}),
    "unlock": lambda scene, thing: scene.game.locked.update({thing: False}),
    "light": lambda scene, thing: scene.game.lit.update({thing: True}),
    "extinguish": lambda scene, thing: scene.game.lit.update({thing: False}),
    "burn": _burn,
    "score": lambda scene, point: remember(scene.game.points, point),
    "unscore": lambda scene, point: forget(scene.game.points, point),
    "end": _end,
}
