"""What is true now: the game a story is in, and pure questions about the two."""

from collections.abc import Iterator

from pydantic import BaseModel, Field

from worlds.adventure.story import NOWHERE, PLAYER, Exit, Room, Story, Thing


class Question(BaseModel):
    """What the game asked. `clause` is the command with "{}" where the answer goes; no options: any words do."""

    clause: str
    options: list[str] = Field(default_factory=list)
    rest: list[str] = Field(default_factory=list)


class Talk(BaseModel):
    """What the conversation itself remembers: it changes with every command, refused ones too."""

    it: str | None = None
    them: list[str] = Field(default_factory=list)
    question: Question | None = None
    last: str = ""


class Game(BaseModel):
    """All that changes while a story is played. Everything is JSON, and every order is the order of events."""

    story: str = ""
    room: str = ""
    where: dict[str, str] = Field(default_factory=dict)
    open: dict[str, bool] = Field(default_factory=dict)
    locked: dict[str, bool] = Field(default_factory=dict)
    lit: dict[str, bool] = Field(default_factory=dict)
    fuel: dict[str, int] = Field(default_factory=dict)
    worn: list[str] = Field(default_factory=list)
    handled: list[str] = Field(default_factory=list)
    flags: list[str] = Field(default_factory=list)
    counters: dict[str, int] = Field(default_factory=dict)
    points: list[str] = Field(default_factory=list)
    visited: list[str] = Field(default_factory=list)
    fired: list[int] = Field(default_factory=list)
    hinted: dict[str, int] = Field(default_factory=dict)
    turn: int = 0
    ending: str | None = None
    talk: Talk = Field(default_factory=Talk)

    def same_as(self, other: "Game") -> bool:
        """Whether nothing happened between the two but talk, and no question is open in either."""
        quiet = self.talk.question is None and other.talk.question is None
        return quiet and self.model_copy(update={"talk": other.talk}) == other


def new_game(story: Story) -> Game:
    """The game before its first turn."""
    things = story.things.values()
    return Game(
        story=story.name,
        room=story.start,
        where={thing.id: thing.place[0] for thing in things if thing.moves},
        open={thing.id: thing.open for thing in things if thing.openable},
        locked={thing.id: thing.locked for thing in things if thing.locked or thing.key},
        lit={thing.id: thing.light.lit for thing in things if thing.light},
        fuel={thing.id: thing.light.fuel for thing in things if thing.light and thing.light.fuel},
        visited=[story.start],
    )


def room_of(story: Story, game: Game) -> Room:
    """The room the player is in."""
    return story.rooms[game.room]


def is_open(thing: Thing, game: Game) -> bool:
    """Whether it stands open; what has no lid always does."""
    return game.open.get(thing.id, True)


def is_locked(thing: Thing, game: Game) -> bool:
    """Whether it is locked."""
    return game.locked.get(thing.id, False)


def contents(story: Story, game: Game, place: str) -> list[Thing]:
    """What is directly in or on a place, in the author's order."""
    return [thing for thing in story.things.values() if game.where.get(thing.id) == place]


def fixtures(story: Story, room: str) -> list[Thing]:
    """The doors of a room, and the scenery it shares with others."""
    doors = {way.door for way in story.rooms[room].exits.values() if way.door}
    return [thing for thing in story.things.values() if thing.id in doors or (not thing.moves and room in thing.place)]


def carries(game: Game, thing_id: str) -> bool:
    """Whether the player has it in hand or wears it."""
    return game.where.get(thing_id) == PLAYER


def is_inside(game: Game, thing_id: str, place: str) -> bool:
    """Whether a thing is somewhere within a place, at any depth."""
    at = game.where.get(thing_id, NOWHERE)
    while at in game.where and at != place:
        at = game.where[at]
    return at == place


def _by_place(story: Story, game: Game) -> dict[str, list[Thing]]:
    found: dict[str, list[Thing]] = {}
    for thing_id, place in game.where.items():
        found.setdefault(place, []).append(story.things[thing_id])
    return found


def _within(by_place: dict[str, list[Thing]], game: Game, place: str, see: bool) -> Iterator[Thing]:
    for thing in by_place.get(place, ()):
        yield thing
        if thing.supporter or is_open(thing, game) or (see and thing.transparent):
            yield from _within(by_place, game, thing.id, see)


def is_dark(story: Story, game: Game) -> bool:
    """Whether the player sees nothing: a dark room, and no burning light in sight."""
    if not room_of(story, game).dark:
        return False
    by_place = _by_place(story, game)
    seen = (*_within(by_place, game, game.room, True), *_within(by_place, game, PLAYER, True))
    return not any(game.lit.get(thing.id) for thing in seen)


def _in_scope(story: Story, game: Game, see: bool) -> list[Thing]:
    by_place = _by_place(story, game)
    carried = list(_within(by_place, game, PLAYER, see))
    if is_dark(story, game):
        return carried
    return [*carried, *_within(by_place, game, game.room, see), *fixtures(story, game.room)]


def visible(story: Story, game: Game) -> list[Thing]:
    """What the player can see, what is carried first; behind glass counts."""
    return _in_scope(story, game, see=True)


def reachable(story: Story, game: Game) -> list[Thing]:
    """What the player can touch, what is carried first."""
    return _in_scope(story, game, see=False)


def exits(story: Story, game: Game) -> dict[str, Exit]:
    """The ways out that the player knows of: in the dark, only those to rooms already seen."""
    dark = is_dark(story, game)
    ways = room_of(story, game).exits
    return {way: leads for way, leads in ways.items() if not dark or leads.to in game.visited}


def score(story: Story, game: Game) -> int:
    """The points won so far."""
    return sum(story.points[point] for point in game.points)
