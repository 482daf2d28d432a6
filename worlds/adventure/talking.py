"""How the player deals with the living."""

from worlds.adventure.describing import subject
from worlds.adventure.handling import must_hold
from worlds.adventure.logic import Refusal, Scene, render
from worlds.adventure.parser import Command
from worlds.adventure.story import Text, Thing


def must_live(thing: Thing) -> None:
    """Refuse unless it is a creature."""
    if not thing.creature:
        raise Refusal(f"{subject(thing, 'has')} no opinion to offer.")


def talk(scene: Scene, thing: Thing, second: Thing | None) -> None:
    """TALK TO a creature."""
    must_live(thing)
    scene.say(render(scene, thing.talk) or thing.shrug or f"{subject(thing, 'listens')}, or seems to.")


def ask(scene: Scene, thing: Thing, topic: str) -> None:
    """ASK or TELL a creature about a topic, in free words."""
    must_live(thing)
    answer = _answer(thing, topic)
    scene.say(render(scene, answer) or thing.shrug or f"{subject(thing, 'has')} nothing to say about that.")


def _answer(thing: Thing, topic: str) -> Text:
    words = set(topic.split())
    return next((text for names, text in thing.topics.items() if words & set(names.replace(",", " ").split())), ())


def give(scene: Scene, thing: Thing, second: Thing | None) -> None:
    """GIVE or SHOW a thing to a creature; without a rule for it, it is not interested."""
    must_hold(scene, thing)
    creature = second or next(
        (each for each in scene.story.things.values() if each.creature and scene.sees(each.id)), None
    )
    if creature is None:
        raise Refusal("There is nobody here to give things to.")
    must_live(creature)
    raise Refusal(f"{subject(creature, 'takes')} no interest in {thing.the}.")


def say(scene: Scene, command: Command) -> None:
    """SAY something to nobody in particular."""
    scene.say(
        f'"{command.topic.capitalize()}," you say. It does not change much.'
        if command.topic
        else "You raise your voice. It comes back to you, unanswered."
    )
