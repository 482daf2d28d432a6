"""A tiny story for the tests, and a way to play it."""

from random import Random

from worlds.adventure.game import Game
from worlds.adventure.library import read
from worlds.adventure.reply import Reply
from worlds.adventure.story import Story
from worlds.adventure.turns import begin, play

SHED = """
title = "The Shed"
start = "yard"
[points]
shed = 5
[endings.home]
title = "Home"
text = "You go home."
[rooms.yard]
title = "Yard"
text = ["A yard.", {if = ["open shed_door"], text = "The shed is open.", else = "The shed is shut."}]
first = "New here?"
smell = "Rain."
[rooms.yard.exits]
north = {to = "shed", door = "shed_door"}
west = "lane"
down = "well"
[rooms.yard.scenery]
"tree, old tree" = "A tree."
[rooms.lane]
title = "Lane"
text = "A lane."
[rooms.lane.exits]
east = "yard"
west = {to = "yard", if = ["flag fed"], refuse = "The cat bars the way."}
[rooms.shed]
title = "Shed"
text = "Shelves."
dark = true
[rooms.shed.exits]
south = {to = "yard", door = "shed_door"}
[rooms.well]
title = "Well"
text = "Wet."
dark = true
[rooms.well.exits]
up = "yard"
north = "cave"
[rooms.cave]
title = "Cave"
text = "Bones."
dark = true
[rooms.cave.exits]
south = "well"
[things.shed_door]
name = "shed door"
synonyms = ["door"]
door = true
openable = true
locked = true
key = "brass_key"
[things.brass_key]
name = "brass key"
in = "box"
[things.iron_key]
name = "iron key"
in = "yard"
[things.box]
name = "box"
in = "yard"
container = true
openable = true
capacity = 2
[things.case]
name = "glass case"
in = "lane"
scenery = true
container = true
transparent = true
openable = true
locked = true
key = "iron_key"
[things.ruby]
name = "ruby"
in = "case"
[things.bench]
name = "bench"
in = "yard"
scenery = true
supporter = true
[things.lamp]
name = "tin lamp"
synonyms = ["lantern"]
in = "bench"
[things.lamp.light]
fuel = 6
needs = "matches"
refuel = "oil"
out = "The lamp dies."
[things.lamp.light.warn]
2 = "The lamp is low."
[things.matches]
name = "matches"
article = "some"
in = "bench"
[things.oil]
name = "oil"
article = "some"
in = "bench"
[things.hat]
name = "hat"
in = "yard"
wearable = true
[things.cake]
name = "cake"
in = "yard"
edible = "Crumbs."
read = "EAT ME"
[things.water]
name = "water"
in = "yard"
scenery = true
drinkable = "Cold."
[things.statue]
name = "statue"
in = "lane"
heavy = "It weighs a ton."
[things.bone]
name = "bone"
in = "cave"
[things.cat]
name = "cat"
in = "lane"
creature = true
talk = "Miaow."
shrug = "It yawns."
[things.cat.topics]
"well, water" = "It shudders."
[things.cat.agenda]
rooms = ["yard", "lane"]
every = 1000
follows = ["flag fed"]
flees = ["lit lamp"]
leaves = "The cat goes {direction}."
arrives = "The cat comes."
joins = "The cat follows."
[[rule]]
when = "give cake cat"
say = "It eats."
do = ["set fed", "move cake nowhere", "score shed"]
[[rule]]
when = "pull statue"
refuse = "You are not that strong."
[[rule]]
when = "push statue"
do = ["end home"]
[[rule]]
when = "examine yard.tree"
order = "after"
say = "A bird flies up."
once = true
[[every_turn]]
if = ["at lane", "turn >= 2"]
once = true
say = "A bell rings."
[[hint]]
id = "cat"
until = ["flag fed"]
steps = ["One.", "Two.", "Three."]
"""


def shed() -> Story:
    """The tiny story."""
    return read("shed", SHED)


def after(*texts: str, story: Story | None = None, seed: int = 1) -> tuple[Game, Reply]:
    """The game and the last reply after some inputs."""
    story = story or shed()
    random = Random(seed)
    game, reply = begin(story)
    for text in texts:
        game, reply = play(story, game, text, random)
    return game, reply


def facts(game: Game) -> dict[str, object]:
    """All that is true of the world; what the conversation remembers is left out."""
    return game.model_dump(exclude={"talk"})
