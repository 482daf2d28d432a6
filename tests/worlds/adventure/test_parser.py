"""Words to commands: what is understood, what is asked back, and what is said of the rest."""

import pytest

from tests.worlds.adventure.shed import after, shed
from worlds.adventure.parser import Command, Unclear, parse, split

STORY = shed()


def parsed(text: str, *before: str) -> Command:
    return parse(STORY, after(*before)[0], *split(STORY, text))


def unclear(text: str, *before: str) -> str:
    with pytest.raises(Unclear) as caught:
        parsed(text, *before)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "verb", "nouns", "second"),
    [
        ("take hat", "take", ("hat",), None),
        ("pick up the hat", "take", ("hat",), None),
        ("pick hat up", "take", ("hat",), None),
        ("take lamp and hat", "take", ("lamp", "hat"), None),
        ("take lamp, hat and cake", "take", ("lamp", "hat", "cake"), None),
        ("get the old tin lantern", "take", (), "error"),
        ("put hat in box", "put", ("hat",), "box"),
        ("put the hat on", "wear", ("hat",), None),
        ("put hat on bench", "put", ("hat",), "bench"),
        ("take off hat", "remove", ("hat",), None),
        ("unlock door with iron key", "unlock", ("shed_door",), "iron_key"),
        ("turn lamp on", "light", ("lamp",), None),
        ("blow out tin lamp", "extinguish", ("lamp",), None),
        ("look at tree", "examine", ("yard.tree",), None),
        ("x old tree", "examine", ("yard.tree",), None),
    ],
)  # fmt: skip
def test_sentence_means_this_command(text: str, verb: str, nouns: tuple[str, ...], second: str | None) -> None:
    if second == "error":
        assert unclear(text) == "You can see no old tin lantern here."
        return
    command = parsed(text)
    assert (command.verb, command.nouns, command.second) == (verb, nouns, second)


@pytest.mark.parametrize(("text", "way"), [("n", "north"), ("go up", "up"), ("walk sw", "southwest"), ("d", "down")])
def test_directions_have_short_forms(text: str, way: str) -> None:
    assert parsed(text) == Command("go", direction=way)


def test_all_means_what_can_be_taken_and_but_spares() -> None:
    assert parsed("take all").nouns == ("iron_key", "box", "lamp", "matches", "oil", "hat", "cake")
    assert parsed("take everything but lamp and hat").nouns == ("iron_key", "box", "matches", "oil", "cake")


def test_input_is_split_at_then_and_stops_and_at_and_before_a_verb() -> None:
    assert split(STORY, "Take lamp and hat, then n. Open door; go up") == [
        "take lamp and hat", "n", "open door", "go up",
    ]  # fmt: skip
    assert split(STORY, "please take the lamp and go north") == ["take the lamp", "go north"]


def test_pronouns_mean_what_was_last_named() -> None:
    assert parsed("drop it", "take hat").nouns == ("hat",)
    assert parsed("drop them", "take hat and cake").nouns == ("hat", "cake")
    assert unclear("take it") == 'It is not clear what "it" means here. Name the thing.'
    assert unclear("take it", "x hat", "w") == "You cannot see the hat now."


def test_ambiguous_noun_is_asked_about() -> None:
    assert unclear("x key", "open box") == "Which key do you mean, the iron key or the brass key?"


@pytest.mark.parametrize("answer", ["brass", "the brass one", "brass key"])
def test_next_input_answers_the_question(answer: str) -> None:
    game, reply = after("open box", "take key", answer)
    assert reply.text == "Taken."
    assert game.where["brass_key"] == "player"


def test_what_was_pending_is_done_after_the_answer() -> None:
    game, _ = after("open box", "take key. take hat", "iron")
    assert (game.where["iron_key"], game.where["hat"]) == ("player", "player")


def test_other_command_drops_the_question() -> None:
    game, _ = after("open box", "take key", "take hat")
    assert game.where["hat"] == "player"
    assert game.talk.question is None


def test_missing_noun_is_asked_for() -> None:
    assert after("take")[1].text == "What do you want to take?"
    assert after("take", "hat")[0].where["hat"] == "player"


def test_verb_decides_between_things_of_one_name() -> None:
    assert parsed("drop key", "open box", "take brass key").nouns == ("brass_key",)


def test_typing_error_is_mended_and_said() -> None:
    command = parsed("take lantrn")
    assert command.nouns == ("lamp",)
    assert command.notes == ('(taking "lantrn" to mean lantern)',)
    assert parsed("exmaine hat").verb == "examine"


def test_typing_error_is_never_mended_to_what_is_out_of_sight() -> None:
    assert unclear("take ruuby") == 'This story does not know the word "ruuby".'


def test_unknown_words_are_told_apart_from_absent_things() -> None:
    assert unclear("take ruby") == "You can see no ruby here."
    assert unclear("take zeppelin") == 'This story does not know the word "zeppelin".'
    assert unclear("frobnicate hat") == '"frobnicate" is no verb this story knows. HELP lists those that work.'
    assert unclear("hat") == "What do you want to do with the hat?"


def test_again_repeats_the_last_command() -> None:
    assert after("g")[1].text == "There is nothing to do again yet."
    assert after("x hat", "g")[0].turn == 2


def test_list_is_for_verbs_that_take_lists() -> None:
    assert unclear("light lamp and hat") == "One thing at a time, if you want to light."
