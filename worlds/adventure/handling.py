"""What hands do: each verb is a few checks, then what changes."""

from worlds.adventure.describing import capital, describe_inside, examine, subject
from worlds.adventure.game import carries, contents, is_inside, is_locked, is_open, reachable
from worlds.adventure.logic import Refusal, Scene, forget, move, remember
from worlds.adventure.parser import Command
from worlds.adventure.story import NOWHERE, PLAYER, Thing


def reach(scene: Scene, thing: Thing) -> None:
    """Make sure hands can get at a thing, opening what encloses it first."""
    while thing not in reachable(scene.story, scene.game):
        around = _enclosing(scene, thing)
        scene.say(f"(first opening {around.the})")
        open_(scene, around, None)


def _enclosing(scene: Scene, thing: Thing) -> Thing:
    """The outermost closed thing around another."""
    closed, place = None, scene.game.where.get(thing.id, "")
    while place in scene.story.things:
        around = scene.thing(place)
        closed = closed if around.supporter or is_open(around, scene.game) else around
        place = scene.game.where.get(place, "")
    if closed is None:
        raise Refusal(f"{subject(thing, 'is')} out of reach.")
    return closed


def grasp(scene: Scene, thing: Thing) -> None:
    """Make sure a thing is in hand, taking it first; what cannot be taken is left to the verb."""
    if thing.portable and not carries(scene.game, thing.id):
        said = len(scene.said)
        take(scene, thing, None)
        scene.said[said:] = [f"(first taking {thing.the})"]


def must_hold(scene: Scene, thing: Thing) -> None:
    """Refuse unless the player has a thing."""
    if not is_inside(scene.game, thing.id, PLAYER):
        raise Refusal(f"You are not carrying {thing.the}.")


def take(scene: Scene, thing: Thing, second: Thing | None) -> None:
    """TAKE a thing, from where it is."""
    if carries(scene.game, thing.id):
        raise Refusal(f"You have {thing.the} already.")
    if second and not is_inside(scene.game, thing.id, second.id):
        raise Refusal(f"{subject(thing, 'is')} not there to be taken.")
    if thing.creature:
        raise Refusal(thing.heavy or f"{capital(thing.the)} would have to agree to that, and does not.")
    if not thing.portable:
        raise Refusal(thing.heavy or f"{subject(thing, 'stays')} where it is.")
    move(scene, thing.id, PLAYER)
    scene.say("Taken.")


def drop(scene: Scene, thing: Thing, second: Thing | None) -> None:
    """DROP a thing in the room."""
    must_hold(scene, thing)
    move(scene, thing.id, scene.game.room)
    scene.say("Dropped.")


def put(scene: Scene, thing: Thing, second: Thing | None) -> None:
    """PUT a thing in or on another."""
    if second is None:
        raise Refusal(f"Say what you want to put {thing.the} in or on.")
    must_hold(scene, thing)
    _must_take_in(scene, thing, second)
    move(scene, thing.id, second.id)
    scene.say(f"You put {thing.the} {'on' if second.supporter else 'in'} {second.the}.")


def _must_take_in(scene: Scene, thing: Thing, second: Thing) -> None:
    if not (second.container or second.supporter):
        raise Refusal(f"{subject(second, 'is')} no place to put things.")
    if thing.id == second.id or is_inside(scene.game, second.id, thing.id):
        raise Refusal("Not even geometry would let you do that.")
    if not second.supporter and not is_open(second, scene.game):
        scene.say(f"(first opening {second.the})")
        open_(scene, second, None)
    if len(contents(scene.story, scene.game, second.id)) >= second.capacity:
        raise Refusal(f"There is no room for more {'on' if second.supporter else 'in'} {second.the}.")


def open_(scene: Scene, thing: Thing, second: Thing | None) -> None:
    """OPEN a door or a container, unlocking it first where the key is at hand."""
    if thing.refuse_open or not thing.openable:
        raise Refusal(thing.refuse_open or f"{subject(thing, 'does')} not open.")
    if is_open(thing, scene.game):
        raise Refusal(f"{subject(thing, 'is')} open already.")
    if is_locked(thing, scene.game):
        _unlock_first(scene, thing, second)
    scene.game.open[thing.id] = True
    inside = [each.a for each in contents(scene.story, scene.game, thing.id) if not each.scenery]
    shows = f", showing {' and '.join(inside)}" if inside and not thing.transparent else ""
    scene.say(f"You open {thing.the}{shows}.")


def _unlock_first(scene: Scene, thing: Thing, second: Thing | None) -> None:
    key = second.id if second else thing.key
    if key is None or not is_inside(scene.game, key, PLAYER):
        raise Refusal(thing.refuse_key or f"{subject(thing, 'is')} locked, and you have nothing that fits.")
    said = len(scene.said)
    unlock(scene, thing, scene.thing(key))
    scene.said[said:] = [f"(first unlocking {thing.the} with {scene.thing(key).the})"]


def search(scene: Scene, thing: Thing, second: Thing | None) -> None:
    """SEARCH a thing: what is in it if it holds anything, else a closer look."""
    if not (thing.container or thing.supporter):
        examine(scene, thing, second)
        return
    if not (thing.supporter or thing.transparent or is_open(thing, scene.game)):
        reach(scene, thing)
        open_(scene, thing, None)
    elif not describe_inside(scene, thing):
        scene.say(f"There is nothing {'on' if thing.supporter else 'in'} {thing.the}.")


def close(scene: Scene, thing: Thing, second: Thing | None) -> None:
    """CLOSE a door or a container."""
    if not thing.openable:
        raise Refusal(f"{subject(thing, 'is')} not something that closes.")
    if not is_open(thing, scene.game):
        raise Refusal(f"{subject(thing, 'is')} closed already.")
    scene.game.open[thing.id] = False
    scene.say(f"You close {thing.the}.")


def unlock(scene: Scene, thing: Thing, second: Thing | None) -> None:
    """UNLOCK a thing with its key."""
    if thing.key is None and thing.id not in scene.game.locked:
        raise Refusal(f"{subject(thing, 'has')} no lock.")
    if not is_locked(thing, scene.game):
        raise Refusal(f"{subject(thing, 'is')} not locked.")
    key = _key(scene, thing, second)
    scene.game.locked[thing.id] = False
    scene.say(f"You unlock {thing.the} with {key.the}.")


def lock(scene: Scene, thing: Thing, second: Thing | None) -> None:
    """LOCK a closed thing with its key."""
    if thing.key is None:
        raise Refusal(f"{subject(thing, 'has')} no lock.")
    if is_locked(thing, scene.game):
        raise Refusal(f"{subject(thing, 'is')} locked already.")
    if is_open(thing, scene.game):
        raise Refusal(f"{capital(thing.the)} stands open; close it first.")
    key = _key(scene, thing, second)
    scene.game.locked[thing.id] = True
    scene.say(f"You lock {thing.the} with {key.the}.")


def _key(scene: Scene, thing: Thing, second: Thing | None) -> Thing:
    if second and second.id != thing.key:
        raise Refusal(f"{subject(second, 'does')} not fit {thing.the}.")
    if thing.key is None or not is_inside(scene.game, thing.key, PLAYER):
        raise Refusal(thing.refuse_key or f"You have no key that fits {thing.the}.")
    return scene.thing(thing.key)


def wear(scene: Scene, thing: Thing, second: Thing | None) -> None:
    """WEAR a garment."""
    if not thing.wearable:
        raise Refusal(f"{capital(thing.the)} would not suit you.")
    if thing.id in scene.game.worn:
        raise Refusal(f"You are wearing {thing.the} already.")
    grasp(scene, thing)
    remember(scene.game.worn, thing.id)
    scene.say(f"You put on {thing.the}.")


def remove(scene: Scene, thing: Thing, second: Thing | None) -> None:
    """REMOVE a garment, into the hand."""
    if thing.id not in scene.game.worn:
        raise Refusal(f"You are not wearing {thing.the}.")
    forget(scene.game.worn, thing.id)
    scene.say(f"You take off {thing.the}.")


def throw(scene: Scene, thing: Thing, second: Thing | None) -> None:
    """THROW a thing: it lands on the floor."""
    must_hold(scene, thing)
    move(scene, thing.id, scene.game.room)
    target = f"short of {second.the}" if second else "a little way off"
    scene.say(f"{subject(thing, 'flies')} well enough, and {thing.verb('lands')} {target}.")


def light(scene: Scene, thing: Thing, second: Thing | None) -> None:
    """LIGHT a lamp, with whatever it needs for that."""
    if thing.light is None:
        raise Refusal(f"{subject(thing, 'is')} not meant for burning.")
    if scene.game.lit[thing.id]:
        raise Refusal(f"{subject(thing, 'is')} alight already.")
    if thing.light.fuel and not scene.game.fuel[thing.id]:
        raise Refusal(f"{subject(thing, 'is')} empty; a flame finds nothing to hold on to.")
    if thing.light.needs and not is_inside(scene.game, thing.light.needs, PLAYER):
        raise Refusal(f"You have nothing to light {thing.the} with.")
    scene.game.lit[thing.id] = True
    scene.say(f"{capital(thing.the)} catches, and there is light.")


def extinguish(scene: Scene, thing: Thing, second: Thing | None) -> None:
    """EXTINGUISH a light."""
    if thing.light is None or not scene.game.lit[thing.id]:
        raise Refusal(f"{subject(thing, 'is')} not burning.")
    if thing.light.fuel is None:
        raise Refusal(f"{subject(thing, 'has')} never learnt how to go out.")
    scene.game.lit[thing.id] = False
    scene.say(f"You put out {thing.the}.")


def fill(scene: Scene, thing: Thing, second: Thing | None) -> None:
    """FILL a lamp with its fuel, which is used up."""
    if thing.light is None or thing.light.refuel is None or thing.light.fuel is None:
        raise Refusal(f"{subject(thing, 'has')} no need of filling.")
    fuel = thing.light.refuel
    if second and second.id != fuel:
        raise Refusal(f"{capital(second.the)} would do {thing.the} no good.")
    if not is_inside(scene.game, fuel, PLAYER):
        raise Refusal(f"You have nothing to fill {thing.the} with.")
    if scene.game.fuel[thing.id] == thing.light.fuel:
        raise Refusal(f"{subject(thing, 'is')} as full as it can be.")
    move(scene, fuel, NOWHERE)
    scene.game.fuel[thing.id] = thing.light.fuel
    scene.say(f"You empty {scene.thing(fuel).the} into {thing.the}, to the last drop.")


def pour(scene: Scene, thing: Thing, second: Thing | None) -> None:
    """POUR fuel into a lamp."""
    if second is None or second.light is None or second.light.refuel != thing.id:
        raise Refusal(f"Pouring {thing.the} out would help nobody.")
    fill(scene, second, thing)


def eat(scene: Scene, thing: Thing, second: Thing | None) -> None:
    """EAT something edible, which is then gone."""
    if not thing.edible:
        raise Refusal(f"{subject(thing, 'is')} not food, whatever your stomach says.")
    grasp(scene, thing)
    move(scene, thing.id, NOWHERE)
    scene.say(thing.edible)


def drink(scene: Scene, thing: Thing, second: Thing | None) -> None:
    """DRINK something drinkable; there is always more of it."""
    if not thing.drinkable:
        raise Refusal(f"{subject(thing, 'is')} nothing to drink.")
    scene.say(thing.drinkable)


def use(scene: Scene, thing: Thing, second: Thing | None) -> Command:
    """USE: the plain verb that fits, where there is one."""
    return _use_on(thing, second) if second else _use_alone(thing)


def _use_on(thing: Thing, second: Thing) -> Command:
    if second.key == thing.id:
        return Command("unlock", (second.id,), thing.id)
    if second.light and second.light.refuel == thing.id:
        return Command("fill", (second.id,), thing.id)
    if second.light and second.light.needs == thing.id:
        return Command("light", (second.id,), thing.id)
    if second.creature:
        return Command("show", (thing.id,), second.id)
    raise Refusal(f"How? Say what you want to do to {second.the} with {thing.the}.")


def _use_alone(thing: Thing) -> Command:
    kinds = {
        "light": thing.light,
        "wear": thing.wearable,
        "read": thing.read,
        "eat": thing.edible,
        "drink": thing.drinkable,
        "enter": thing.door or thing.leads,
    }
    verb = next((verb for verb, fits in kinds.items() if fits), None)
    if verb is None:
        raise Refusal(f"How? Say what you want to do with {thing.the}.")
    return Command(verb, (thing.id,))
