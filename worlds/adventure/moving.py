"""How the player gets about."""

from worlds.adventure.describing import describe_room, exit_phrase, joined, subject
from worlds.adventure.game import exits, is_dark, is_open, room_of
from worlds.adventure.handling import open_
from worlds.adventure.logic import Refusal, Scene, arrive, hold
from worlds.adventure.parser import Command
from worlds.adventure.story import Exit, Thing


def go(scene: Scene, command: Command) -> None:
    """GO through an exit, opening its door first."""
    way = room_of(scene.story, scene.game).exits.get(command.direction)
    if way is None or command.direction not in exits(scene.story, scene.game):
        raise Refusal(_no_exit(scene))
    if not hold(scene, way.conditions):
        raise Refusal(way.refuse)
    _open_door(scene, way)
    _enter(scene, way.to)


def _no_exit(scene: Scene) -> str:
    ways = [exit_phrase(way).removeprefix("to the ") for way in exits(scene.story, scene.game)]
    if is_dark(scene.story, scene.game):
        return f"In the dark you go only where you have been: {joined(ways) or 'nowhere, it seems'}."
    nothing = room_of(scene.story, scene.game).nothing or "There is no way in that direction."
    return f"{nothing} You can go {joined(ways)}."


def _open_door(scene: Scene, way: Exit) -> None:
    if way.door and not is_open(scene.thing(way.door), scene.game):
        door = scene.thing(way.door)
        scene.say(f"(first opening {door.the})")
        opening = len(scene.said)
        open_(scene, door, None)
        scene.said[opening:] = scene.said[opening:-1]


def _enter(scene: Scene, room: str) -> None:
    first = room not in scene.game.visited
    arrive(scene, room)
    describe_room(scene, arriving=True, first=first)


def enter(scene: Scene, thing: Thing | None, second: Thing | None) -> Command:
    """ENTER or CLIMB what leads somewhere."""
    if thing is None:
        return Command("go", direction="in")
    ways = room_of(scene.story, scene.game).exits
    way = thing.leads or next((way for way, leads in ways.items() if leads.door == thing.id), None)
    if way is None:
        raise Refusal(f"{subject(thing, 'is')} not a thing to go into or up.")
    return Command("go", direction=way)


def leave(scene: Scene, thing: Thing | None, second: Thing | None) -> Command:
    """EXIT: out, or by the only way there is."""
    ways = exits(scene.story, scene.game)
    if "out" in ways or len(ways) != 1:
        return Command("go", direction="out") if "out" in ways else _ask_way(list(ways))
    return Command("go", direction=next(iter(ways)))


def _ask_way(ways: list[str]) -> Command:
    raise Refusal(f"Which way? You can go {joined(ways) or 'nowhere'}.")
