"""Stillweather, played: to each of its endings, into its corners, and at random."""

import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.worlds.adventure.shed import facts
from worlds.adventure.game import Game, visible
from worlds.adventure.grammar import DIRECTIONS, SENTENCES
from worlds.adventure.library import load
from worlds.adventure.reply import Reply
from worlds.adventure.turns import begin, play

STORY = load("stillweather")
SEED = 3
KEEPER = """
read slate. n. read note. w. take all. e. e. x scarecrow. take coat. open coat. take iron key. wear coat. take
line. w. n. take lantern. e. open drawer. take matches. n. take salt. take chimney. put chimney on lantern. s.
w. w. n. read diary. s. e. u. open sash window. call pim. wait. w. take brass key. e. d. w. unlock cabinet with
brass key. take pinwheel. call pim. give pinwheel to pim. e. e. d. light lantern. n. read sign. w. tie line to
staple. d. put salt on ice. u. e. s. u. w. u. u. u. untie scarf. d. put crank in socket. turn crank. d. d. w. n.
sign ledger
"""
WALK = """
n. w. take all. e. e. attack kitchen window with hatchet. take line and coat. wear it. n. open drawer. take
matches. w. take lantern. u. e. u. light lantern. x harp. turn peg. say pim. d. w. open sash window. w. take
brass key. e. d. w. take pinwheel. take pinwheel. give it to pim. e. u. u. u. untie scarf. d. d. d. e. d. light
lantern. n. w. tie rope to staple. d. chop ice with hatchet. u. e. s. u. w. u. u. z. put crank in socket. turn
crank. d. d. s. s. s
"""
CLOCKWORK = """
n. e. x scarecrow. take coat. wear coat. search pocket. open pocket. take key. take line. w. n. e. open drawer.
take matches. w. take lantern. w. take bellows. e. e. d. light lantern. n. take jar. w. tie line to staple. d.
melt ice with lantern. u. e. s. u. w. u. u. u. untie scarf. d. put crank in socket. turn crank. extinguish
lantern. say pim. d. w. look under bed. x jar of lightning. e. say pim. say pim. catch pim with bellows. x empty
jar. u. put jar in hopper. turn crank
"""
SKY = """
n. e. take coat. open it. take iron key. wear coat. take line. w. n. take lantern. e. open drawer. take matches.
n. take salt. s. w. w. n. read diary. s. e. u. open sash. w. take brass key. e. d. w. unlock cabinet. open it.
take pinwheel. e. e. d. light lantern. n. w. tie line to staple. d. use salt on ice. u. e. s. u. w. u. e. u.
turn peg. light lantern. say pim. say pim. wave pinwheel at pim. d. w. u. u. z. take scarf. d. d. d. e. d. light
lantern. n. pull cord. pull cord
"""
STRAW = "south. south"


def commands(walkthrough: str) -> list[str]:
    return [part for part in " ".join(walkthrough.split()).split(". ") if part]


def played(walkthrough: str) -> tuple[Game, Reply]:
    random = Random(SEED)
    game, reply = begin(STORY)
    for command in commands(walkthrough):
        game, reply = play(STORY, game, command, random)
    return game, reply


@pytest.mark.parametrize(
    ("walkthrough", "ending", "score"),
    [
        (KEEPER, "keeper", 50),
        (WALK, "walk", 50),
        (SKY, "sky", 50),
        (CLOCKWORK, "clockwork", 35),
        (STRAW, "straw", 0),
    ],
)
def test_ending_is_reached_with_its_points(walkthrough: str, ending: str, score: int) -> None:
    assert len(commands(walkthrough)) < 120
    _, reply = played(walkthrough)
    assert (reply.ended, reply.score) == (ending, score)


def test_every_ending_has_a_walkthrough_and_full_score_is_reachable() -> None:
    assert {*STORY.endings} == {"keeper", "walk", "sky", "clockwork", "straw"}
    assert played(KEEPER)[1].score == STORY.max_score == 50


@pytest.mark.parametrize("way", ["put salt on ice", "chop ice with hatchet", "melt ice with lantern"])
def test_crank_comes_out_of_the_ice_in_three_ways(way: str) -> None:
    game, _ = begin(STORY)
    game.room = "rime"
    game.where |= {"salt": "player", "hatchet": "player", "lantern": "player"}
    game.lit["lantern"] = True
    game, _ = play(STORY, game, way, Random(1))
    assert game.where["crank"] == "player"


def test_light_that_never_dies_is_within_reach_of_lit_rooms() -> None:
    game, _ = begin(STORY)
    game.room = "bedroom"
    game, _ = play(STORY, game, "take jar of lightning", Random(1))
    game.room = "vault"
    assert any(thing.id == "cord" for thing in visible(STORY, game))


def test_draught_blows_out_a_bare_flame_but_not_a_chimneyed_one() -> None:
    game, _ = begin(STORY)
    game.room = "landing"
    game.where |= {"lantern": "player", "matches": "player", "chimney": "player"}
    assert play(STORY, game, "light lantern", Random(1))[0].lit["lantern"] is False
    assert play(STORY, game, "put chimney on lantern. light lantern", Random(1))[0].lit["lantern"] is True


def test_bottling_a_friend_takes_its_points_back() -> None:
    game, _ = begin(STORY)
    game.room = "landing"
    game.where["jar"] = "player"
    game.flags = ["friend"]
    game.points = ["friend"]
    game, reply = play(STORY, game, "catch pim", Random(1))
    assert (game.where["pim"], reply.score) == ("jar", 0)


def test_everything_in_every_room_can_be_examined_in_its_own_words() -> None:
    for room in STORY.rooms.values():
        game, _ = begin(STORY)
        game.room, game.where["lightning"] = room.id, "player"
        for thing in visible(STORY, game):
            _, reply = play(STORY, game, f"examine {thing.name}", Random(1))
            assert not re.match("You can see no|This story does not know|There is nothing special", reply.text), (
                room.id, thing.id, reply.text,
            )  # fmt: skip


def test_nouns_in_a_room_text_are_things_there() -> None:
    spoken = {"something", "weather", "light", "coal", "box", "stand", "plate", "window", "water", "door"}
    elsewhere = {word for room in STORY.rooms.values() for word in room.title.lower().split()}
    nouns = {noun for thing in STORY.things.values() for noun in thing.nouns} - spoken - elsewhere
    for room in STORY.rooms.values():
        game, _ = begin(STORY)
        game.room, game.where["lightning"] = room.id, "player"
        here = {word for thing in visible(STORY, game) for word in thing.words}
        texts = [
            part if isinstance(part, str) else f"{part.text} {part.otherwise}"
            for part in (*room.text, *room.first, *room.again)
        ]
        assert {*re.findall("[a-z]+", " ".join(texts).lower())} & nouns <= here, room.id


def test_hints_are_there_from_the_first_turn_to_the_last_puzzle() -> None:
    game, _ = begin(STORY)
    assert play(STORY, game, "hint", Random(1))[1].text.startswith("(door, hint 1 of 3)")
    game.points, game.flags = ["house", "dark"], ["friend", "crank", "vane", "weather"]
    assert play(STORY, game, "hint", Random(1))[1].text.startswith("(after, hint 1 of 3)")


def test_game_in_the_middle_of_play_survives_json() -> None:
    random, other = Random(SEED), Random(SEED)
    game, _ = begin(STORY)
    again = game
    for command in commands(KEEPER):
        game, reply = play(STORY, game, command, random)
        again, same = play(STORY, Game.model_validate_json(again.model_dump_json()), command, other)
        assert (again, same) == (game, reply)


NOUNS = sorted({thing.name for thing in STORY.things.values()})
VERBS = sorted({form.replace("|", " ").split()[0] for forms in SENTENCES.values() for form in forms} - {"X", "T", "D"})
LINES = st.one_of(
    st.sampled_from(sorted(DIRECTIONS)),
    st.builds("{} {}".format, st.sampled_from(VERBS), st.sampled_from([*NOUNS, "all", "it", "them", "me", ""])),
    st.builds("{} {} {} {}".format, st.sampled_from(VERBS), st.sampled_from(NOUNS),
              st.sampled_from(["in", "on", "with", "to", "about", "from", "and", "but"]), st.sampled_from(NOUNS)),
    st.sampled_from(["take all", "drop all", "light lantern", "again", "key", "hint", "z. g. take all but it"]),
    st.text(max_size=30),
)  # fmt: skip


def places_of(game: Game) -> set[str]:
    return {game.where[thing] for thing in game.where}


@settings(max_examples=80, deadline=None)
@given(st.sampled_from([KEEPER, WALK, SKY, CLOCKWORK]), st.integers(0, 60), st.lists(LINES, max_size=12))
def test_no_words_break_the_story_or_lose_a_thing(walkthrough: str, steps: int, lines: list[str]) -> None:
    random = Random(SEED)
    game, _ = begin(STORY)
    moving = {thing.id for thing in STORY.things.values() if thing.moves}
    for line in [*commands(walkthrough)[:steps], *lines]:
        before = game
        game, reply = play(STORY, game, line, random)
        assert {*game.where} == moving
        assert places_of(game) <= {*STORY.rooms, *STORY.things, "player", "nowhere"}
        assert {*game.worn} <= {thing for thing, place in game.where.items() if place == "player"}
        assert reply.text
        if game.turn == before.turn and not game.hinted:
            assert facts(game) == facts(before)
