"""Which deed belongs to which verb, and what verbs say that only rules can make useful."""

from collections.abc import Callable, Mapping

from worlds.adventure import describing, handling, moving, talking
from worlds.adventure.game import score as points_of
from worlds.adventure.grammar import SENTENCES
from worlds.adventure.logic import Refusal, Scene, hold, render
from worlds.adventure.parser import Command
from worlds.adventure.story import PLAYER, Hint, Thing

Deed = Callable[[Scene, Thing, Thing | None], Command | None]
BareDeed = Callable[[Scene, Command], Command | None]

DISTANT = frozenset({"examine", "search", "read", "look", "ask", "tell", "talk", "listen", "smell", "wave", "enter"})
"""Verbs that need sight but not touch."""
WITH_NOUN_IN_HAND = frozenset({"give", "show", "throw", "put", "use", "pour", "tie", "drop", "wave"})
WITH_SECOND_IN_HAND = frozenset({"attack", "cut", "burn", "catch", "unlock", "lock", "open", "fill", "turn", "light"})


def score(scene: Scene, command: Command) -> None:
    """SCORE."""
    story, game = scene.story, scene.game
    scene.say(f"You have {points_of(story, game)} of {story.max_score} points after {game.turn} turns.")


def help_(scene: Scene, command: Command) -> None:
    """HELP: how to talk to the story."""
    scene.say(
        "Say what you want to do in a few plain words: TAKE LAMP, PUT THE KEY IN THE BOX, ASK HER ABOUT THE WELL. "
        "Join commands by THEN or full stops. N, S, E, W, U and D go places; X is EXAMINE, I is INVENTORY, "
        "Z waits, G does it again. HINT nudges, a little harder each time, and costs nothing.",
        f"Verbs: {', '.join(sorted(SENTENCES))}.",
    )


def hint(scene: Scene, command: Command) -> None:
    """HINT: the next step of the ladder of the first puzzle that is open."""
    found = _open_hint(scene, command.topic)
    if found is None:
        raise Refusal("Nothing is in your way that a hint would move. Look around; read everything.")
    step = min(scene.game.hinted.get(found.id, 0), 2)
    scene.game.hinted[found.id] = step + 1
    scene.say(f"({found.id}, hint {step + 1} of 3) {found.steps[step]}")


def _open_hint(scene: Scene, topic: str) -> Hint | None:
    open_ = [hint for hint in scene.story.hints if hold(scene, hint.conditions) and not hold(scene, hint.until)]
    return next((hint for hint in open_ if hint.id in topic.split()), next(iter(open_), None))


def wait(scene: Scene, command: Command) -> None:
    """WAIT."""
    scene.say("Time passes.")


def _tell_of_self(scene: Scene) -> Command | None:
    scene.say(render(scene, scene.story.player))
    return None


BARE: Mapping[str, BareDeed] = {
    "look": describing.look,
    "inventory": describing.inventory,
    "go": moving.go,
    "enter": lambda scene, command: moving.enter(scene, None, None),
    "exit": lambda scene, command: moving.leave(scene, None, None),
    "smell": lambda scene, command: describing.smell(scene, None, None),
    "listen": lambda scene, command: describing.listen(scene, None, None),
    "say": talking.say,
    "score": score,
    "help": help_,
    "hint": hint,
    "wait": wait,
}
DEEDS: Mapping[str, Deed] = {
    "examine": describing.examine,
    "search": handling.search,
    "read": describing.read,
    "smell": describing.smell,
    "listen": describing.listen,
    "take": handling.take,
    "drop": handling.drop,
    "put": handling.put,
    "open": handling.open_,
    "close": handling.close,
    "lock": handling.lock,
    "unlock": handling.unlock,
    "wear": handling.wear,
    "remove": handling.remove,
    "throw": handling.throw,
    "light": handling.light,
    "extinguish": handling.extinguish,
    "fill": handling.fill,
    "pour": handling.pour,
    "eat": handling.eat,
    "drink": handling.drink,
    "use": handling.use,
    "enter": moving.enter,
    "climb": moving.enter,
    "exit": moving.leave,
    "talk": talking.talk,
    "give": talking.give,
    "show": talking.give,
}
FUTILE: Mapping[str, str] = {
    "push": "{The} will not be pushed anywhere useful.",
    "pull": "You pull {the}. Nothing comes of it.",
    "turn": "{The} {does} not turn, or not to any purpose.",
    "attack": "Violence against {the} would relieve your feelings and nothing else.",
    "cut": "There is no call to cut {the}.",
    "burn": "Setting fire to {the} would be hard to explain afterwards.",
    "tie": "You can think of nothing worth tying {the} to.",
    "untie": "{The} {is} not tied.",
    "catch": "{The} {is} not there to be caught like that.",
    "blow": "You blow on {the}. Nothing is blown away.",
    "wave": "You wave {the}. Nothing waves back.",
    "touch": "That tells you no more than looking does.",
    "knock": "You knock. Nobody answers.",
    "jump": "You jump, land, and are no further on.",
    "sleep": "This is no time to sleep; it only feels like it.",
    "dig": "Digging here would only make a hole.",
    "write": "This is no place for your name.",
    "put": "Put it where?",
}
"""Verbs that do nothing unless a rule says so, and how they say no."""


def futile(verb: str, thing: Thing | None) -> Refusal:
    """The refusal of a verb that only rules make useful."""
    the = thing.the if thing else "it"
    verbs = {word: thing.verb(word) if thing else word for word in ("is", "does")}
    return Refusal(FUTILE[verb].format(The=describing.capital(the), the=the, **verbs))


def do(scene: Scene, command: Command) -> Command | None:
    """Do a command by its deed; a deed may name another command to be done in its place. Raises Refusal."""
    if command.noun == PLAYER:
        return _tell_of_self(scene)
    if command.noun is None:
        deed = BARE.get(command.verb)
        if deed is None:
            raise futile(command.verb, None)
        return deed(scene, command)
    return _do_to(scene, command, scene.thing(command.noun))


def _do_to(scene: Scene, command: Command, thing: Thing) -> Command | None:
    if command.verb in {"ask", "tell"}:
        talking.ask(scene, thing, command.topic)
        return None
    if command.verb not in DEEDS:
        raise futile(command.verb, thing)
    second = scene.thing(command.second) if command.second else None
    return DEEDS[command.verb](scene, thing, second)
