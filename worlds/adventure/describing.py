"""What the player is told of rooms and things."""

from collections.abc import Iterable, Sequence

from worlds.adventure.game import contents, exits, fixtures, is_dark, is_open, room_of
from worlds.adventure.logic import Refusal, Scene, render
from worlds.adventure.parser import Command
from worlds.adventure.story import PLAYER, Thing

DARK = "It is too dark to see a thing."


def listing(things: Iterable[Thing]) -> str:
    """Things in a sentence: "a lamp, a rope and some matches"."""
    return joined([thing.a for thing in things])


def joined(names: Sequence[str]) -> str:
    """Names in a sentence, the last after "and"."""
    *most, last = names or [""]
    return f"{', '.join(most)} and {last}" if most else last


def capital(text: str) -> str:
    """`text` with a capital first letter."""
    return text[:1].upper() + text[1:]


def subject(thing: Thing, verb: str) -> str:
    """How a sentence about a thing begins: "The tin lamp is", "The matches are"."""
    return f"{capital(thing.the)} {thing.verb(verb)}"


def exit_phrase(way: str) -> str:
    """A direction as it is spoken of after "goes"."""
    return {"up": "up", "down": "down", "in": "inside", "out": "outside"}.get(way, f"to the {way}")


def describe_room(scene: Scene, arriving: bool = False, first: bool = False) -> None:
    """Tell of the room the player is in: what it is, then what is in it."""
    room = room_of(scene.story, scene.game)
    if is_dark(scene.story, scene.game):
        known = joined([exit_phrase(way) for way in exits(scene.story, scene.game)])
        scene.say("In the dark", f"{DARK}" + (f" You remember a way {known}." if known else ""))
        return
    text = room.again if arriving and not first and room.again else room.text
    scene.say(room.title, render(scene, room.first) if first else "", render(scene, text))
    _describe_things(scene)


def _describe_things(scene: Scene) -> None:
    here = [thing for thing in contents(scene.story, scene.game, scene.game.room)]
    fresh = [thing for thing in here if thing.initial and thing.id not in scene.game.handled]
    scene.say(*(render(scene, thing.initial) for thing in fresh))
    plain = [thing for thing in here if not thing.scenery and thing not in fresh]
    if plain:
        scene.say(f"You can see {listing(plain)} here.")
    for thing in [*here, *fixtures(scene.story, scene.game.room)]:
        describe_inside(scene, thing)


def describe_inside(scene: Scene, thing: Thing) -> bool:
    """Tell what is in or on a thing that shows it; whether there was anything to tell."""
    shown = thing.supporter or is_open(thing, scene.game) or thing.transparent
    inside = [each for each in contents(scene.story, scene.game, thing.id) if not each.scenery]
    if shown and inside:
        place = "On" if thing.supporter else "In"
        verb = inside[0].verb("is") if len(inside) == 1 else "are"
        scene.say(f"{place} {thing.the} {verb} {listing(inside)}.")
    return bool(shown and inside)


def look(scene: Scene, command: Command) -> None:
    """LOOK, or LOOK in a direction."""
    if not command.direction:
        describe_room(scene)
        return
    way = exits(scene.story, scene.game).get(command.direction)
    if way is None:
        raise Refusal("There is nothing to be seen that way.")
    seen = scene.story.rooms[way.to].title if way.to in scene.game.visited else "a way you have not taken yet"
    scene.say(f"{exit_phrase(command.direction).capitalize()}: {seen}.")


def inventory(scene: Scene, command: Command) -> None:
    """INVENTORY."""
    held = contents(scene.story, scene.game, PLAYER)
    worn = [thing for thing in held if thing.id in scene.game.worn]
    carried = [thing for thing in held if thing not in worn]
    scene.say(f"You are carrying {listing(carried)}." if carried else "You are carrying nothing.")
    if worn:
        scene.say(f"You are wearing {listing(worn)}.")
    for thing in held:
        describe_inside(scene, thing)


def examine(scene: Scene, thing: Thing, second: Thing | None) -> None:
    """EXAMINE a thing, with what its state shows."""
    text = render(scene, thing.text)
    scene.say(text or f"There is nothing special about {thing.the}.")
    _describe_state(scene, thing)
    describe_inside(scene, thing)


def _describe_state(scene: Scene, thing: Thing) -> None:
    game = scene.game
    if thing.light and game.lit.get(thing.id):
        scene.say(f"{subject(thing, 'is')} alight.")
    if thing.openable:
        scene.say(f"{subject(thing, 'is')} {'open' if is_open(thing, game) else 'closed'}.")


def read(scene: Scene, thing: Thing, second: Thing | None) -> None:
    """READ a thing with words on it."""
    if not thing.read:
        raise Refusal(f"There is nothing to read on {thing.the}.")
    scene.say(render(scene, thing.read))


def smell(scene: Scene, thing: Thing | None, second: Thing | None) -> None:
    """SMELL a thing or the air of the room."""
    text = thing.smell if thing else room_of(scene.story, scene.game).smell
    scene.say(render(scene, text) or "Nothing your nose would write home about.")


def listen(scene: Scene, thing: Thing | None, second: Thing | None) -> None:
    """LISTEN to a thing or the room."""
    text = thing.sound if thing else room_of(scene.story, scene.game).sound
    scene.say(render(scene, text) or "Nothing but your own listening.")
