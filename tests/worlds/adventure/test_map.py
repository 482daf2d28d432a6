"""The automap: what has been seen, and no more."""

import re

from tests.worlds.adventure.shed import after, shed
from worlds.adventure.library import load
from worlds.adventure.map import lay_out, mermaid_map, text_map
from worlds.adventure.turns import begin


def test_map_shows_where_one_is_and_what_is_unexplored() -> None:
    game, _ = after()
    drawn = text_map(shed(), game)
    assert "║ Yard" in drawn
    assert "Lane" not in drawn
    assert drawn.count("?") == 3  # north, west, and the legend
    assert "Yard: down, unexplored" in drawn


def test_rooms_that_were_seen_are_joined() -> None:
    game, _ = after("w")
    assert "║ Lane           ║───│ Yard           │" in text_map(shed(), game)


def test_levels_are_drawn_apart() -> None:
    game, _ = after("d", "u")
    drawn = text_map(shed(), game)
    assert drawn.index("Level 0") < drawn.index("Level -1")
    assert "Yard: down to Well" in drawn


def test_no_two_rooms_share_a_place() -> None:
    for story in (shed(), load("stillweather")):
        places = lay_out(story)
        assert len(set(places.values())) == len(story.rooms) == len(places)


def test_mermaid_has_solid_ways_dashed_stubs_and_the_present_room() -> None:
    lines = mermaid_map(shed(), after("w")[0]).splitlines()
    assert lines[0] == "flowchart TD"
    assert '    room_yard["Yard"]' in lines
    assert '    room_yard ---|"west / east"| room_lane' in lines
    assert '    room_yard -.->|"north"| room_yard_north(["?"])' in lines
    assert lines[-1] == "    class room_lane here"


def test_every_mermaid_line_is_of_a_known_form() -> None:
    story = load("stillweather")
    game, _ = begin(story)
    game.visited = list(story.rooms)
    forms = r'room_\w+\[".+"\]|room_\w+ (---|-->|-\.->)\|"[\w /]+"\| room_\w+(\(\["\?"\]\))?|classDef .+|class \w+ here'
    assert all(re.fullmatch(forms, line.strip()) for line in mermaid_map(story, game).splitlines()[1:])
