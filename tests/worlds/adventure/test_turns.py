"""A turn: each verb, what it refuses and why, and what happens after it."""

from random import Random

import pytest

from tests.worlds.adventure.shed import after, facts, shed
from worlds.adventure.game import Game
from worlds.adventure.turns import begin, play, view

LIT = ("take all", "light lamp")
IN_SHED = ("open box", "take brass key", "take lamp, oil and matches", "light lamp", "n")


def last(*texts: str) -> str:
    return after(*texts)[1].text


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (("x hat",), "There is nothing special about the hat."),
        (("x me",), "As good-looking as ever."),
        (("x box",), "There is nothing special about the box.\n\nThe box is closed."),
        (("search box",), "You open the box, showing a brass key."),
        (("search bench",), "On the bench are a tin lamp, some matches and some oil."),
        (("take hat",), "Taken."),
        (("take lamp and hat",), "Tin lamp: Taken.\n\nHat: Taken."),
        (("take hat", "drop hat"), "Dropped."),
        (("put hat in box",), "(first taking the hat)\n\n(first opening the box)\n\nYou open the box, showing a brass "
         "key.\n\nYou put the hat in the box."),
        (("take hat", "put hat on bench"), "You put the hat on the bench."),
        (("open box", "close box"), "You close the box."),
        (("open box", "take brass key", "unlock door"), "You unlock the shed door with the brass key."),
        (("open box", "take brass key", "unlock door", "lock it with brass key"),
         "You lock the shed door with the brass key."),
        (("open box", "take brass key", "use brass key on door"), "You unlock the shed door with the brass key."),
        (("wear hat",), "(first taking the hat)\n\nYou put on the hat."),
        (("wear hat", "i"), "You are carrying nothing.\n\nYou are wearing a hat."),
        (("wear hat", "take off hat"), "You take off the hat."),
        (("eat cake",), "(first taking the cake)\n\nCrumbs."),
        (("drink water",), "Cold."),
        (("read cake",), "EAT ME"),
        (("smell",), "Rain."),
        (("listen",), "Nothing but your own listening."),
        (("take hat", "throw hat at tree"), "The hat flies well enough, and lands short of the tree."),
        (("wait",), "Time passes."),
        (("take all", "light lamp"), "The tin lamp catches, and there is light."),
        (("take all", "light lamp", "put out lamp"), "You put out the tin lamp."),
        ((*LIT, "fill lamp with oil"), "You empty the oil into the tin lamp, to the last drop."),
        ((*LIT, "pour oil into lamp"), "You empty the oil into the tin lamp, to the last drop."),
        (("w", "talk to cat"), "Miaow."),
        (("w", "ask cat about the deep well"), "It shudders.\n\nA bell rings."),
        (("w", "tell cat about sausages"), "It yawns.\n\nA bell rings."),
        (("score",), "You have 0 of 5 points after 0 turns."),
        (("hint", "hint", "hint", "hint"), "(cat, hint 3 of 3) Three."),
        (("x tree",), "A tree.\n\nA bird flies up."),
        (("x tree", "x tree"), "A tree."),
        (("look north",), "To the north: a way you have not taken yet."),
    ],
)  # fmt: skip
def test_verb_says(inputs: tuple[str, ...], said: str) -> None:
    assert last(*inputs).startswith(said)


@pytest.mark.parametrize(
    ("before", "text", "said"),
    [
        ((), "take tree", "The tree stays where it is."),
        (("w",), "take statue", "It weighs a ton."),
        (("w",), "take cat", "The cat would have to agree to that, and does not."),
        (("take hat",), "take hat", "You have the hat already."),
        ((), "drop hat", "You are not carrying the hat."),
        (("take hat",), "put hat in tree", "The tree is no place to put things."),
        (("take box",), "put box in box", "Not even geometry would let you do that."),
        ((), "open hat", "The hat does not open."),
        (("open box",), "open box", "The box is open already."),
        ((), "close box", "The box is closed already."),
        ((), "unlock box", "The box has no lock."),
        (("take iron key",), "unlock door with iron key", "The iron key does not fit the shed door."),
        ((), "n", "The shed door is locked, and you have nothing that fits."),
        (("w",), "w", "The cat bars the way."),
        ((), "e", "There is no way in that direction. You can go north, west and down."),
        ((), "enter hat", "The hat is not a thing to go into or up."),
        ((), "exit", "Which way? You can go north, west and down."),
        ((), "wear box", "The box would not suit you."),
        ((), "take off hat", "You are not wearing the hat."),
        ((), "eat hat", "The hat is not food, whatever your stomach says."),
        ((), "drink hat", "The hat is nothing to drink."),
        ((), "read hat", "There is nothing to read on the hat."),
        ((), "light hat", "The hat is not meant for burning."),
        (("take lamp",), "light lamp", "You have nothing to light the tin lamp with."),
        (LIT, "light lamp", "The tin lamp is alight already."),
        ((), "put out lamp", "The tin lamp is not burning."),
        (("take oil",), "fill lamp", "The tin lamp is as full as it can be."),
        ((), "fill lamp", "You have nothing to fill the tin lamp with."),
        (("w",), "pull statue", "You are not that strong."),
        (("w",), "take ruby", "The glass case is locked, and you have nothing that fits."),
        ((), "talk to hat", "The hat has no opinion to offer."),
        (("take hat", "w"), "give hat to cat", "The cat takes no interest in the hat."),
        (("take hat",), "use hat on tree", "How? Say what you want to do to the tree with the hat."),
        ((), "attack tree", "Violence against the tree would relieve your feelings and nothing else."),
        ((), "push tree", "The tree will not be pushed anywhere useful."),
        (("wear hat",), "take me", "Leave yourself out of this; you are needed whole."),
        ((), "xyzzy", '"xyzzy" is no verb this story knows. HELP lists those that work.'),
        ((), "!?", "Say something, and the story will answer. HELP tells how."),
    ],
)  # fmt: skip
def test_refusal_says_why_costs_no_turn_and_changes_nothing(before: tuple[str, ...], text: str, said: str) -> None:
    game, _ = after(*before)
    later, reply = play(shed(), game, text, Random(1))
    assert reply.text == said
    assert facts(later) == facts(game)


def test_given_game_is_never_changed() -> None:
    game, _ = after()
    kept = game.model_copy(deep=True)
    play(shed(), game, "take hat. take it. frob", Random(1))
    assert game == kept


def test_full_container_takes_no_more() -> None:
    said = last("open box", "put hat in box", "put cake in box")
    assert said == "There is no room for more in the box."


def test_sequence_stops_at_the_first_refusal() -> None:
    game, _ = after("take hat. take hat. take cake")
    assert game.where["cake"] == "yard"


def test_things_behind_glass_are_seen_and_reached_by_opening() -> None:
    assert last("w", "x ruby").startswith("There is nothing special about the ruby.")
    game, reply = after("take iron key", "w", "take ruby")
    assert reply.text.startswith("(first opening the glass case)\n\n(first unlocking the glass case with the iron key)")
    assert game.where["ruby"] == "player"


def test_door_is_unlocked_and_opened_on_the_way() -> None:
    game, reply = after(*IN_SHED)
    assert game.room == "shed"
    assert reply.text.startswith("(first opening the shed door)\n\n(first unlocking the shed door with the brass key)")


def test_conditional_text_follows_the_facts() -> None:
    assert "The shed is shut." in last("look")
    assert "The shed is open." in last("open box", "take brass key", "open door", "look")


def test_dark_hides_everything() -> None:
    _, reply = after("take hat", "d", "drop hat")
    assert reply.room == "In the dark"
    assert reply.things == []
    assert reply.exits == ["up"]
    assert last("d", "n") == "In the dark you go only where you have been: up."
    assert last("take hat", "d", "drop hat", "x hat") == "You can see no hat here."


def test_light_shows_the_dark_room_it_is_lit_in() -> None:
    assert last("take all", "d", "light lamp").startswith("The tin lamp catches, and there is light.\n\nWell\n\nWet.")


def test_fuel_runs_down_with_a_warning_and_can_be_filled_once() -> None:
    burning = (*LIT, "d", "z", "z")
    assert "The lamp is low." in last(*burning)
    assert last(*burning, "z", "z").endswith("The lamp dies.\n\nIt is dark now, and the dark is complete.")
    assert after(*burning, "z", "z")[0].lit["lamp"] is False
    assert last(*burning, "z", "z", "light lamp") == "The tin lamp is empty; a flame finds nothing to hold on to."
    assert "Wet." in last(*burning, "z", "z", "fill lamp", "light lamp")


def test_creature_follows_and_flees_by_its_agenda() -> None:
    fed = ("take cake, lamp and matches", "w", "give cake to cat")
    assert last(*fed, "e").endswith("The cat follows.")
    assert last(*fed, "e", "light lamp").endswith("The cat goes to the west.")


def test_points_are_told_and_counted_once() -> None:
    _, reply = after("take cake", "w", "give cake to cat")
    assert "[Your score has gone up by 5.]" in reply.text
    assert (reply.score, reply.max_score) == (5, 5)


def test_every_turn_rule_fires_once() -> None:
    assert "A bell rings." in last("z", "w")
    assert "A bell rings." not in last("z", "w", "z")


def test_ending_ends_the_story() -> None:
    game, reply = after("w", "push statue")
    assert reply.ended == "home"
    assert reply.suggestions == []
    assert reply.text.startswith("You go home.\n\n*** Home ***")
    assert play(shed(), game, "look", Random(1))[0] == game


def test_free_verbs_cost_no_turn() -> None:
    assert after("look", "i", "score", "help", "hint")[0].turn == 0
    game, _ = after("take hat")
    assert view(shed(), game).turn == 1


def test_first_sight_of_a_room_is_told_once() -> None:
    assert "New here?" in begin(shed())[1].text
    assert "New here?" not in last("w", "e")


def test_reply_reads_well() -> None:
    text = str(after()[1])
    assert text.endswith(
        "Exits: north, west, down\nHere: iron key, box, bench, tin lamp, matches, oil, hat, cake, shed door"
    )


def test_suggestions_are_understood_and_accepted() -> None:
    game, reply = after("open box")
    assert reply.suggestions
    for suggestion in reply.suggestions:
        later, _ = play(shed(), game, suggestion, Random(1))
        assert facts(later) != facts(game) or suggestion == "look"


def test_game_is_the_same_after_a_round_trip_through_json() -> None:
    game, _ = after("take all", "w", "give cake to cat", "x key")
    again = Game.model_validate_json(game.model_dump_json())
    assert again == game
    assert play(shed(), again, "iron", Random(4)) == play(shed(), game, "iron", Random(4))
