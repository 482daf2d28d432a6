"""How one command is carried out: made ready, tried against the author's rules, and done."""

from dataclasses import replace

from worlds.adventure.actions import DISTANT, WITH_NOUN_IN_HAND, WITH_SECOND_IN_HAND, do
from worlds.adventure.handling import grasp, reach
from worlds.adventure.logic import Refusal, Scene, carry_out, hold, render
from worlds.adventure.parser import Command
from worlds.adventure.story import PLAYER, Rule


def perform(scene: Scene, command: Command) -> None:
    """Carry out a command on one thing, in the order: make ready, "instead" rule or deed, "after" rule.

    Raises Refusal; the scene's game may then be half changed, and is to be thrown away.
    """
    _make_ready(scene, command)
    instead = _rule(scene, command, "instead")
    if instead is not None:
        follow(scene, *instead)
        return
    other = do(scene, command)
    if other is not None:
        perform(scene, other)
    after = _rule(scene, command, "after")
    if after is not None:
        follow(scene, *after)


def _make_ready(scene: Scene, command: Command) -> None:
    """Have in reach and in hand what the verb needs there; what is fixed is left to the verb to refuse."""
    if command.noun in {None, PLAYER}:
        return
    things = [scene.thing(thing) for thing in (command.noun, command.second) if thing]
    if command.verb not in DISTANT:
        for thing in things:
            reach(scene, thing)
    if command.second and command.verb in WITH_NOUN_IN_HAND:
        grasp(scene, things[0])
    if command.second and command.verb in WITH_SECOND_IN_HAND:
        grasp(scene, things[1])


def _rule(scene: Scene, command: Command, order: str) -> tuple[int, Rule] | None:
    """The first rule of an order that fits, with its number."""
    for number, rule in enumerate(scene.story.rules):
        if rule.order == order and number not in scene.game.fired and _fits(scene, command, rule):
            return number, rule
    return None


def _fits(scene: Scene, command: Command, rule: Rule) -> bool:
    return any(_matches(command, when) for when in rule.when) and hold(scene, rule.conditions)


def _matches(command: Command, when: str) -> bool:
    verbs, *slots = when.split()
    said = [{word} for word in (command.noun, command.second, command.direction) if word]
    said += [set(command.topic.split())] if command.topic else []
    said += [set()] * (len(slots) - len(said))
    fits = all(slot == "*" or word & {*slot.split("|")} for slot, word in zip(slots, said, strict=False))
    return command.verb in verbs.split("|") and fits


def follow(scene: Scene, number: int, rule: Rule) -> None:
    """Do what a rule says. Raises Refusal for a rule that refuses."""
    if rule.refuse:
        raise Refusal(render(scene, rule.refuse))
    if rule.once:
        scene.game.fired.append(number)
    scene.say(render(scene, rule.say))
    carry_out(scene, rule.do)


def alone(command: Command, noun: str) -> Command:
    """The same command for one of its things."""
    return replace(command, nouns=(noun,))
