"""What the player is told after a turn, for reading and for programs."""

from collections.abc import Iterator
from random import Random

from pydantic import BaseModel, Field

from worlds.adventure.game import (
    Game,
    contents,
    exits,
    is_dark,
    is_inside,
    is_locked,
    is_open,
    reachable,
    room_of,
    score,
)
from worlds.adventure.logic import Scene, hold
from worlds.adventure.story import PLAYER, Story, Thing

_SUGGESTIONS = 6


class Reply(BaseModel):
    """One turn's answer. `things` are in reach here and not carried; `ended` is the id of the ending."""

    text: str = Field(description="what happened, in prose")
    room: str = Field(description="where the player is")
    exits: list[str] = Field(description="directions the player knows to lead somewhere")
    things: list[str] = Field(description="what is within reach here and not carried")
    carrying: list[str]
    score: int
    max_score: int
    turn: int
    ended: str | None = Field(description="the ending reached, or null while the story goes on")
    suggestions: list[str] = Field(description="some commands that make sense now; there are always others")

    def __str__(self) -> str:
        lists = {"Exits": self.exits, "Here": self.things} if self.ended is None else {}
        lines = [f"{name}: {', '.join(names)}" for name, names in lists.items() if names]
        return "\n\n".join((self.text, *["\n".join(lines)] * bool(lines)))


def make_reply(story: Story, game: Game, text: str) -> Reply:
    """The reply with a text, about the game as it is now."""
    dark = is_dark(story, game)
    return Reply(
        text=text,
        room="In the dark" if dark else room_of(story, game).title,
        exits=list(exits(story, game)),
        things=[thing.name for thing in things_here(story, game)],
        carrying=[thing.name for thing in contents(story, game, PLAYER)],
        score=score(story, game),
        max_score=story.max_score,
        turn=game.turn,
        ended=game.ending,
        suggestions=[] if game.ending else suggest(story, game),
    )


def things_here(story: Story, game: Game) -> list[Thing]:
    """What is in reach, not carried, and more than scenery."""
    return [
        thing
        for thing in reachable(story, game)
        if not is_inside(game, thing.id, PLAYER)
        and (not thing.scenery or thing.container or thing.supporter or thing.openable)
    ]


def suggest(story: Story, game: Game) -> list[str]:
    """A handful of commands that make sense now, the most promising first."""
    ideas = (*_ideas_for_light(story, game), *_ideas_for_things(story, game), *_ideas_for_ways(story, game))
    return list(dict.fromkeys(ideas))[:_SUGGESTIONS]


def _ideas_for_light(story: Story, game: Game) -> Iterator[str]:
    if not is_dark(story, game):
        return
    for thing in reachable(story, game):
        needs = thing.light and thing.light.needs
        if thing.light and game.fuel.get(thing.id, 1) and (not needs or is_inside(game, needs, PLAYER)):
            yield f"light {thing.name}"


def _ideas_for_things(story: Story, game: Game) -> Iterator[str]:
    for thing in things_here(story, game):
        if thing.creature:
            yield f"examine {thing.name}"
        elif thing.openable and not is_open(thing, game) and not thing.refuse_open:
            if not is_locked(thing, game) or (thing.key and is_inside(game, thing.key, PLAYER)):
                yield f"open {thing.name}"
        elif thing.portable and thing.id not in game.handled:
            yield f"take {thing.name}"
    for thing in contents(story, game, PLAYER):
        if thing.read:
            yield f"read {thing.name}"


def _ideas_for_ways(story: Story, game: Game) -> Iterator[str]:
    scene = Scene(story, game, Random(game.turn))
    ways = {
        way: leads
        for way, leads in exits(story, game).items()
        if hold(scene, leads.conditions) and not (leads.door and is_locked(story.things[leads.door], game))
    }
    yield from (way for way, leads in ways.items() if leads.to not in game.visited)
    if not is_dark(story, game):
        yield "look"
    yield from (way for way, leads in ways.items() if leads.to in game.visited)
