"""A turn of a story: words in, a new game and a reply out.

The game given is never changed: a new one is returned. So a refused command is undone by forgetting it, a caller that
keeps its games has undo for nothing, and a store can compare what was with what is.
"""

from random import Random

from worlds.adventure.clockwork import pass_time
from worlds.adventure.describing import capital, describe_room, inventory
from worlds.adventure.game import Game, is_dark, new_game, score
from worlds.adventure.grammar import FREE
from worlds.adventure.logic import Refusal, Scene, render
from worlds.adventure.parser import Command, Unclear, answer, parse, split
from worlds.adventure.reply import Reply, make_reply
from worlds.adventure.rulebook import alone, perform
from worlds.adventure.story import PLAYER, Story

MOST_CLAUSES = 20
"""Commands in one input; more are not begun."""
_AGAIN = frozenset({"again", "g", "repeat"})


def begin(story: Story) -> tuple[Game, Reply]:
    """The first game of a story, and its opening words."""
    game = new_game(story)
    scene = Scene(story, game, Random(0))
    scene.say(story.title, render(scene, story.intro))
    describe_room(scene, arriving=True, first=True)
    return game, make_reply(story, game, _prose(scene.said))


def view(story: Story, game: Game) -> Reply:
    """What LOOK says, without a turn."""
    scene = Scene(story, game, Random(game.turn))
    describe_room(scene)
    return make_reply(story, game, _prose(scene.said))


def take_stock(story: Story, game: Game) -> Reply:
    """What INVENTORY says, without a turn."""
    scene = Scene(story, game, Random(game.turn))
    inventory(scene, Command("inventory"))
    return make_reply(story, game, _prose(scene.said))


def play(story: Story, game: Game, text: str, random: Random) -> tuple[Game, Reply]:
    """The game after an input of one or more commands, and what is told of it."""
    if game.ending is not None:
        return game, make_reply(story, game, "The story is over. Undo a turn, or start it again.")
    game = game.model_copy(deep=True)
    said: list[str] = []
    pending = _clauses(story, game, text)
    if not pending:
        said.append("Say something, and the story will answer. HELP tells how.")
    while pending and game.ending is None:
        clause, *pending = pending
        game, stopped = _obey(story, game, clause, random, said)
        if stopped:
            pending = _stop(game, pending)
    if game.ending is not None:
        said.append(_close(story, game, random))
    return game, make_reply(story, game, _prose(said))


def _prose(said: list[str]) -> str:
    return "\n\n".join(text for text in said if text)


def _clauses(story: Story, game: Game, text: str) -> list[str]:
    """The commands of an input, an answer to an open question made whole."""
    question, game.talk.question = game.talk.question, None
    answered = answer(story, question, text) if question else None
    if question and answered:
        return [answered, *question.rest]
    return split(story, text)[:MOST_CLAUSES]


def _stop(game: Game, pending: list[str]) -> list[str]:
    """Nothing more is done after a refusal; what is pending waits for the answer to a question."""
    if game.talk.question:
        game.talk.question.rest = pending
    return []


def _obey(story: Story, game: Game, clause: str, random: Random, said: list[str]) -> tuple[Game, bool]:
    """The game after one clause, and whether what follows it must not be done."""
    clause = game.talk.last if clause in _AGAIN else clause
    if not clause:
        said.append("There is nothing to do again yet.")
        return game, True
    try:
        command = parse(story, game, clause)
    except Unclear as unclear:
        said.append(str(unclear))
        game.talk.question = unclear.question
        return game, True
    game.talk.last = clause
    said.extend(command.notes)
    return _carry_out(story, game, command, random, said)


def _carry_out(story: Story, game: Game, command: Command, random: Random, said: list[str]) -> tuple[Game, bool]:
    """Do a command to each of its things; a turn passes unless all was refused or the verb is free."""
    was_dark, done, acted = is_dark(story, game), game, False
    singles = [alone(command, noun) for noun in command.nouns] or [command]
    for single in singles:
        done, fine = _attempt(story, done, single, random, said)
        acted = acted or fine
    _remember(done, command)
    if acted and command.verb not in FREE:
        scene = Scene(story, done, random, said)
        pass_time(scene, was_dark)
        _tell_of_points(scene, game)
    return done, not acted


def _attempt(story: Story, game: Game, command: Command, random: Random, said: list[str]) -> tuple[Game, bool]:
    """The game after a command on one thing; the same game, untouched, if it is refused."""
    scene = Scene(story, game.model_copy(deep=True), random)
    label = f"{capital(story.things[command.nouns[0]].name)}: " if command.listed else ""
    try:
        perform(scene, command)
    except Refusal as refusal:
        said.append(label + str(refusal))
        return game, False
    said.append(label + "".join(scene.said[:1] or ["Done."] * (scene.game.ending is None)))
    said.extend(scene.said[1:])
    return scene.game, True


def _remember(game: Game, command: Command) -> None:
    talk = game.talk
    if len(command.nouns) > 1:
        talk.them = list(command.nouns)
    if command.noun and command.noun != PLAYER:
        talk.it = command.nouns[-1]


def _tell_of_points(scene: Scene, before: Game) -> None:
    won = score(scene.story, scene.game) - score(scene.story, before)
    if won and scene.game.ending is None:
        scene.say(f"[Your score has gone {'up' if won > 0 else 'down'} by {abs(won)}.]")


def _close(story: Story, game: Game, random: Random) -> str:
    assert game.ending is not None
    ending = story.endings[game.ending]
    scene = Scene(story, game, random)
    end = f"*** {ending.title} ***\n\n{score(story, game)} of {story.max_score} points, {game.turn} turns."
    return f"{render(scene, ending.text)}\n\n{end}"
