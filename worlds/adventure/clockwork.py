"""What happens after a turn: creatures act, every-turn rules fire, lights burn down, the dark falls or lifts."""

from collections.abc import Iterator

from worlds.adventure.describing import DARK, describe_room, exit_phrase
from worlds.adventure.game import is_dark, is_open
from worlds.adventure.grammar import OPPOSITES
from worlds.adventure.logic import Scene, hold
from worlds.adventure.rulebook import follow
from worlds.adventure.story import Agenda, Thing


def pass_time(scene: Scene, was_dark: bool) -> None:
    """Let one turn pass; `was_dark` is whether it was dark before the command."""
    scene.game.turn += 1
    for step in (_let_creatures_act, _apply_every_turn_rules, _burn_lights):
        if scene.game.ending is None:
            step(scene)
    _tell_of_darkness(scene, was_dark)


def _let_creatures_act(scene: Scene) -> None:
    for thing in scene.story.things.values():
        if thing.agenda and scene.game.where.get(thing.id) in scene.story.rooms:
            _act(scene, thing, thing.agenda)


def _act(scene: Scene, creature: Thing, agenda: Agenda) -> None:
    game, here = scene.game, scene.game.where[creature.id]
    if agenda.flees is not None and hold(scene, agenda.flees):
        if here == game.room:
            _wander(scene, creature, agenda)
    elif agenda.follows is not None and hold(scene, agenda.follows):
        if here != game.room:
            _come(scene, creature, agenda)
    elif game.turn % agenda.every == 0 and not _lingers(scene, here, agenda):
        _wander(scene, creature, agenda)


def _lingers(scene: Scene, here: str, agenda: Agenda) -> bool:
    return here == scene.game.room and scene.random.random() * 100 < agenda.lingers


def _come(scene: Scene, creature: Thing, agenda: Agenda) -> None:
    scene.game.where[creature.id] = scene.game.room
    if not is_dark(scene.story, scene.game):
        scene.say(agenda.joins)


def _wander(scene: Scene, creature: Thing, agenda: Agenda) -> None:
    ways = dict(_ways(scene, creature, agenda))
    if not ways:
        return
    here, way = scene.game.where[creature.id], scene.random.choice(sorted(ways))
    if here == scene.game.room and not is_dark(scene.story, scene.game):
        scene.say(agenda.leaves.replace("{direction}", exit_phrase(way)))
    scene.game.where[creature.id] = ways[way]
    if ways[way] == scene.game.room and not is_dark(scene.story, scene.game):
        scene.say(agenda.arrives.replace("{direction}", exit_phrase(OPPOSITES[way])))


def _ways(scene: Scene, creature: Thing, agenda: Agenda) -> Iterator[tuple[str, str]]:
    """The directions a creature may go, and the rooms they lead to."""
    room = scene.story.rooms[scene.game.where[creature.id]]
    for way, leads in room.exits.items():
        shut = leads.door and not is_open(scene.thing(leads.door), scene.game)
        if leads.to in agenda.rooms and (agenda.through_doors or not shut):
            yield way, leads.to


def _apply_every_turn_rules(scene: Scene) -> None:
    for place, rule in enumerate(scene.story.every_turn, 1):
        if scene.game.ending is None and -place not in scene.game.fired and hold(scene, rule.conditions):
            follow(scene, -place, rule)


def _burn_lights(scene: Scene) -> None:
    for thing in scene.story.things.values():
        if thing.light and thing.id in scene.game.fuel and scene.game.lit[thing.id]:
            _burn(scene, thing)


def _burn(scene: Scene, thing: Thing) -> None:
    assert thing.light is not None
    left = scene.game.fuel[thing.id] = scene.game.fuel[thing.id] - 1
    seen = scene.sees(thing.id)
    scene.game.lit[thing.id] = left > 0
    if seen:
        scene.say(thing.light.warn.get(left, "") if left else thing.light.out)


def _tell_of_darkness(scene: Scene, was_dark: bool) -> None:
    dark = is_dark(scene.story, scene.game)
    if scene.game.ending is not None or dark == was_dark:
        return
    if dark and not any(DARK in text for text in scene.said):
        scene.say("It is dark now, and the dark is complete.")
    title = scene.story.rooms[scene.game.room].title
    if not dark and title not in scene.said:
        describe_room(scene)
