"""The story format: what an author writes, one TOML file a story, and nothing but data.

A story starts with its own facts, then has tables of rooms, things, rules, hints and endings. Ids are short words
without spaces; they are how parts of a story name each other, and players never see them.

    title = "The Shed"              author = "You"          blurb = "One line for a list of stories."
    intro = "Printed once."         start = "yard"          # the room the player wakes up in
    player = "What X ME says."      levels = {0 = "Outside"}  # names for the third number of a room's `at`
    [points]                        # every reason for points; their sum is the maximum score
    shed = 5
    [endings.free]                  # at least one, and each must be reached by an effect "end free"
    title = "Free at last"
    text = "The last words."

**Texts** are a string, or a list of strings and conditional parts, joined by a space. Blank lines
divide paragraphs; a part that starts with one starts a paragraph.

    text = ["A yard.", {if = ["open shed_door"], text = "The shed stands open.", else = "The shed is shut."}]

**Conditions** are strings, and a list of them means all. "not" may come first; " or " joins alternatives.

    flag F · here T (visible now) · carrying T · worn T · in T PLACE · at ROOM · visited ROOM · lit T · open T
    locked T · handled T (was taken once) · dark · scored P · turn >= N · counter C >= N (< <= = >= >)
    chance N (per cent)

**Effects** are strings, done in order.

    say TEXT · set F · clear F · add C N · move T PLACE · swap T T (the second takes the place of the first, which
    goes nowhere) · go ROOM · open T · close T · lock T · unlock T · light T · extinguish T · burn T N (of its fuel)
    score P · unscore P · end E

A PLACE is a room, a thing (in or on it), `player`, `here` (the player's room) or `nowhere`.

**Rooms.** `text` is what LOOK says; `first` is said before it once; `again` replaces it when one comes back.

    [rooms.yard]
    title = "Yard"
    text = "A yard with a well."
    dark = false                    # dark rooms need a lit light that can be seen
    at = [0, 0, 0]                  # optional place on the map: east, south, level
    smell = "Rain."                 sound = "Nothing."      nothing = "What going where there is no exit says."
    [rooms.yard.exits]              # north … northwest, up, down, in, out
    north = "lane"
    east = {to = "shed", door = "shed_door"}
    down = {to = "well", if = ["flag rope"], refuse = "Why not."}
    [rooms.yard.scenery]            # names, the one shown first, then what EXAMINE says
    "stone well, well, stones" = "It is deep."      # its id in rules is yard.stone_well

**Things.** `in` is where it starts (a PLACE, or a list of rooms for what is seen in all of them).

    [things.lamp]
    name = "tin lamp"               # the last word is its noun, the words before it are adjectives
    synonyms = ["lantern"]          adjectives = ["old"]    article = "a"   # or "the", "some", "" for names
    plural = false                  # guessed from a last "s"
    in = "yard"                     text = "What EXAMINE says."
    initial = "A lamp hangs here."  # its own paragraph until it is first taken
    scenery = false                 # true: not listed, and not portable
    portable = true                 heavy = "Why it cannot be taken."
    container = false               supporter = false       capacity = 5        transparent = false
    openable = false                open = false            locked = false      key = "brass_key"
    door = false                    # named by two exits; has no `in`
    leads = "east"                  # ENTER or CLIMB it goes there
    refuse_open = "Why it does not open."   refuse_key = "What a locked thing says without its key."
    wearable = false                edible = "What eating it is like."          drinkable = "…"
    read = "What it says."          smell = "…"             sound = "…"
    light = {fuel = 60, lit = false, needs = "matches", refuel = "oil", out = "It dies.", warn = {10 = "It dims."}}
                                    # no fuel = burns for ever; `refuel` is a thing that is used up by FILL
    creature = false                # it can be talked to, and may have topics and an agenda
    talk = "What TALK TO says."     shrug = "What it says to a topic it does not know."
    [things.cat.topics]             # names of the topic, then the answer to ASK and TELL
    "well, water" = "It looks away."
    [things.cat.agenda]             # what it does after each turn: `flees`, else `follows`, else wanders
    rooms = ["yard", "lane"]        every = 2               through_doors = false   lingers = 50  # per cent
    follows = ["flag fed"]          flees = ["lit lamp"]
    arrives = "The cat comes in."   leaves = "The cat goes {direction}."   joins = "Said when it follows in."

**Rules** change what a command does. `when` is a verb of the grammar and up to two things (or a direction, or a
topic), each perhaps several joined by "|"; "*" is anything; a list of them is any of these. The first rule that fits
is the only one of its order. "instead" rules replace the action, "after" rules follow it. A rule either refuses (and
then costs no turn) or says and does; `once` rules fit once.

    [[rule]]
    when = ["give|show fish cat", "use fish cat"]
    if = ["not flag fed"]
    say = "It eats."
    do = ["set fed", "move fish nowhere", "score cat"]
    [[rule]]
    when = "go north"
    if = ["at yard", "not flag fed"]
    refuse = "The cat is in the way."

**Every turn**, each rule that holds is carried out, after the action and the creatures.

    [[every_turn]]
    if = ["here cat", "chance 30"]
    say = "The cat yawns."

**Hints** are ladders; the first whose `if` holds and whose `until` does not is the one HINT climbs.

    [[hint]]
    id = "cat"
    if = ["visited yard"]
    until = ["flag fed"]
    steps = ["A nudge.", "A push.", "The answer."]
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from worlds.adventure.language import Clause, Condition, parse_condition, parse_effect

PLAYER, HERE, NOWHERE = "player", "here", "nowhere"


def tidy(text: str) -> str:
    """`text` with its lines joined, and a blank line between paragraphs; one that starts with a blank line keeps it."""
    paragraphs = "\n\n".join(" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))
    return f"\n\n{paragraphs}" if text.startswith("\n") else paragraphs


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


def _conditions(value: object) -> object:
    parts = _listed(value)
    return tuple(parse_condition(part) if isinstance(part, str) else part for part in parts)  # type: ignore[attr-defined]


def _effects(value: object) -> object:
    return tuple(parse_effect(part) if isinstance(part, str) else part for part in _listed(value))  # type: ignore[attr-defined]


def _names(key: str) -> list[str]:
    return [name.strip() for name in key.split(",")]


Prose = Annotated[str, BeforeValidator(lambda value: tidy(value) if isinstance(value, str) else value)]
Conditions = Annotated[tuple[Condition, ...], BeforeValidator(_conditions)]
Effects = Annotated[tuple[Clause, ...], BeforeValidator(_effects)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Passage(_Part):
    """A piece of text that is said only while its conditions hold."""

    conditions: Conditions = Field(alias="if")
    text: Prose
    otherwise: Prose = Field(default="", alias="else")


Text = Annotated[tuple[Prose | Passage, ...], BeforeValidator(_listed)]


class Exit(_Part):
    """A way out of a room."""

    to: str
    door: str | None = None
    conditions: Conditions = Field(default=(), alias="if")
    refuse: Prose = ""


class Room(_Part):
    """A place the player can be in."""

    id: str
    title: str
    text: Text
    first: Text = ()
    again: Text = ()
    dark: bool = False
    at: tuple[int, int] | tuple[int, int, int] | None = None
    smell: Text = ()
    sound: Text = ()
    nothing: Prose = ""
    exits: Mapping[str, Exit] = {}

    @model_validator(mode="before")
    @classmethod
    def _read_short_exits(cls, data: dict[str, Any]) -> dict[str, Any]:
        ways = data.get("exits", {})
        return data | {"exits": {way: {"to": to} if isinstance(to, str) else to for way, to in ways.items()}}


class Light(_Part):
    """What a thing needs to give light. `fuel` is in turns; none means for ever."""

    fuel: int | None = Field(default=None, ge=1)
    lit: bool = False
    needs: str | None = None
    refuel: str | None = None
    out: Prose = "Its light goes out."
    warn: Mapping[int, Prose] = {}


class Agenda(_Part):
    """What a creature does after each turn. `every` is in turns, `lingers` how often it stays with the player, in %."""

    rooms: tuple[str, ...] = ()
    every: int = Field(default=1, ge=1)
    lingers: int = Field(default=0, ge=0, le=100)
    through_doors: bool = False
    follows: Conditions | None = None
    flees: Conditions | None = None
    arrives: Prose = ""
    leaves: Prose = ""
    joins: Prose = ""


class Thing(_Part):
    """Anything with a noun: an object, a piece of scenery, a door, a creature."""

    id: str
    name: str
    article: str | None = None
    plural: bool | None = None
    synonyms: tuple[str, ...] = ()
    adjectives: tuple[str, ...] = ()
    place: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(default=(), alias="in")
    text: Text = ()
    initial: Text = ()
    scenery: bool = False
    portable: bool = True
    heavy: Prose = ""
    container: bool = False
    supporter: bool = False
    capacity: int = Field(default=100, ge=1)
    transparent: bool = False
    openable: bool = False
    open: bool = False
    locked: bool = False
    key: str | None = None
    door: bool = False
    leads: str | None = None
    refuse_open: Prose = ""
    refuse_key: Prose = ""
    wearable: bool = False
    edible: Prose = ""
    drinkable: Prose = ""
    read: Text = ()
    smell: Text = ()
    sound: Text = ()
    light: Light | None = None
    creature: bool = False
    talk: Text = ()
    shrug: Prose = ""
    topics: Mapping[str, Text] = {}
    agenda: Agenda | None = None

    @model_validator(mode="before")
    @classmethod
    def _leave_fixtures_where_they_are(cls, data: dict[str, Any]) -> dict[str, Any]:
        fixed = any(data.get(kind) for kind in ("scenery", "door", "creature", "heavy"))
        return {"portable": not fixed} | data

    @property
    def moves(self) -> bool:
        """Whether it is in one place, which may change; doors and what several rooms share stay as they are."""
        return len(self.place) == 1

    @property
    def nouns(self) -> frozenset[str]:
        """The words that can stand for it alone."""
        phrases = [phrase.lower().split() for phrase in (self.name, *self.synonyms)]
        return frozenset(words[-1] for words in phrases if words)

    @property
    def words(self) -> frozenset[str]:
        """Every word a player may use for it."""
        phrases = " ".join((self.name, *self.synonyms, *self.adjectives)).lower()
        return frozenset(phrases.split())

    @property
    def many(self) -> bool:
        """Whether it is spoken of in the plural."""
        guess = self.name.endswith("s") and not self.name.endswith(("ss", "us"))
        return guess if self.plural is None else self.plural

    def verb(self, one: str) -> str:
        """A verb in the form that goes with it: "is" or "are", "has" or "have", "stays" or "stay"."""
        forms = {"is": "are", "has": "have", "does": "do", "flies": "fly"}
        return forms.get(one, one.removesuffix("s")) if self.many else one

    @property
    def the(self) -> str:
        """Its name as it is spoken of: "the tin lamp"."""
        return self.name if self.article == "" else f"the {self.name}"

    @property
    def a(self) -> str:
        """Its name as it is first mentioned: "a tin lamp"."""
        article = self.article
        if article is None and self.many:
            article = "some"
        elif article is None:
            article = "an" if self.name[0].lower() in "aeiou" else "a"
        return f"{article} {self.name}".strip()


class Rule(_Part):
    """What a command does instead of, or after, its usual effect."""

    when: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    order: Literal["instead", "after"] = "instead"
    conditions: Conditions = Field(default=(), alias="if")
    refuse: Text = ()
    say: Text = ()
    do: Effects = ()
    once: bool = False


class Hint(_Part):
    """A ladder of hints for one puzzle, the gentlest first."""

    id: str
    conditions: Conditions = Field(default=(), alias="if")
    until: Conditions
    steps: tuple[Prose, Prose, Prose]


class Ending(_Part):
    """A way the story ends."""

    title: str
    text: Text


def _scenery(room: str, name: str, *synonyms: str, text: object) -> tuple[str, dict[str, object]]:
    thing = {"name": name, "synonyms": synonyms, "in": room, "text": text, "scenery": True}
    return f"{room}.{name.replace(' ', '_')}", thing


class Story(_Part):
    """All an author wrote. Rooms and things are by id."""

    name: str
    title: str
    author: str = ""
    blurb: Prose = ""
    intro: Text = ()
    player: Text = ("As good-looking as ever.",)
    start: str
    levels: Mapping[int, str] = {}
    points: Mapping[str, int] = {}
    endings: Mapping[str, Ending] = {}
    rooms: Mapping[str, Room] = {}
    things: Mapping[str, Thing] = {}
    rules: tuple[Rule, ...] = Field(default=(), alias="rule")
    every_turn: tuple[Rule, ...] = ()
    hints: tuple[Hint, ...] = Field(default=(), alias="hint")

    @model_validator(mode="before")
    @classmethod
    def _name_parts_by_their_keys(cls, data: dict[str, Any]) -> dict[str, Any]:
        rooms = {key: dict(room) for key, room in data.get("rooms", {}).items()}
        things = {key: dict(thing) for key, thing in data.get("things", {}).items()}
        for key, room in rooms.items():
            things |= dict(_scenery(key, *_names(names), text=text) for names, text in room.pop("scenery", {}).items())
        for key, part in (rooms | things).items():
            part["id"] = key
        return data | {"rooms": rooms, "things": things}

    @property
    def max_score(self) -> int:
        """The points of a story in which everything was done."""
        return sum(self.points.values())

    def door_rooms(self, thing_id: str) -> tuple[str, ...]:
        """The rooms a door opens to, by id."""
        return tuple(
            room.id for room in self.rooms.values() if any(way.door == thing_id for way in room.exits.values())
        )
