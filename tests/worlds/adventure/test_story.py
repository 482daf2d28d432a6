"""Loading a story: what is read, and what is said of one that cannot be played."""

import pytest

from tests.worlds.adventure.shed import SHED, shed
from worlds.adventure.library import StoryError, load, read, stories


def faults(old: str = "", new: str = "", more: str = "") -> str:
    """What is said of the tiny story after a change."""
    assert old in SHED
    with pytest.raises(StoryError) as caught:
        read("shed", SHED.replace(old, new, 1) + more)
    return "\n".join(caught.value.problems)


def test_tiny_story_is_read() -> None:
    story = shed()
    assert story.rooms["yard"].exits["north"].door == "shed_door"
    assert story.things["yard.tree"].scenery
    assert story.things["cat"].portable is False
    assert story.max_score == 5


def test_every_installed_story_loads() -> None:
    assert "stillweather" in stories()
    assert all(load(name).title for name in stories())


def test_unknown_story_is_refused_by_name() -> None:
    with pytest.raises(StoryError, match="installed are stillweather"):
        load("stillwether")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('west = "lane"', 'west = "lnae"', "'lnae' is no room; did you mean 'lane'?"),
        ('west = "lane"', 'wets = "lane"', "'wets' is no direction; did you mean 'west'?"),
        ('start = "yard"', 'start = "yrad"', "'yrad' is no room"),
        ('west = "lane"\n', "", "rooms.lane: cannot be reached from 'yard'"),
        (', refuse = "The cat bars the way."', "", "has conditions and no 'refuse'"),
        ('name = "ruby"\nin = "case"', 'name = "ruby"', "things.ruby: is in no place"),
        ('name = "ruby"\nin = "case"', 'name = "ruby"\nin = "caes"', "'caes' is no place; did you mean 'ca"),
        ('name = "ruby"\nin = "case"', 'name = "ruby"\nin = "cake"', "neither a container nor a supporter"),
        ('name = "box"\nin = "yard"', 'name = "box"\nin = "box"', "things.box: is within itself"),
        ('key = "iron_key"', 'key = "tin_key"', "'tin_key' is no thing"),
        ('name = "iron key"', 'name = "hat"', "are called the same"),
        ('north = {to = "shed", door = "shed_door"}', 'north = "shed"', "a door joins two rooms, not 1"),
        ("open shed_door", "opne shed_door", "'opne' is no condition; did you mean 'open'?"),
        ("open shed_door", "open", "has 0 arguments; write 'open THING'"),
        ("set fed", "sett fed", "'sett' is no effect; did you mean 'set'?"),
        ("turn >= 2", "turn >= two", "'two' is no whole number"),
        ("turn >= 2", "turn => 2", "'=>' is no comparison"),
        ("flag fed", "flag fde", "'fde' is no flag that is ever set; did you mean 'fed'?"),
        ("end home", "end hom", "'hom' is no ending; did you mean 'home'?"),
        ("score shed", "set won", "points.shed: no rule awards it"),
        ('when = "push statue"', 'when = "shove statue"', "'shove' is no verb"),
        ('when = "push statue"', 'when = "push statute"', "'statute' is no thing; did you mean 'statue'?"),
        ('refuse = "You are not that strong."', "", "must either 'refuse' or 'say' and 'do'"),
    ],
)  # fmt: skip
def test_fault_is_named_with_what_was_received_and_what_is_right(old: str, new: str, said: str) -> None:
    assert said in faults(old, new)


def test_story_without_an_ending_is_refused() -> None:
    assert "endings: there is none" in faults('[endings.home]\ntitle = "Home"\ntext = "You go home."\n')


def test_ending_that_nothing_reaches_is_refused() -> None:
    assert "endings.away: no rule reaches it" in faults(more='[endings.away]\ntitle = "Away"\ntext = "Gone."\n')


def test_all_faults_are_said_at_once() -> None:
    assert len(faults('in = "yard"\nwearable', 'in = "yrad"\nwearable', "\n[points2]\n").splitlines()) == 1
    assert len(faults('west = "lane"', 'west = "lnae"').splitlines()) > 1


def test_unknown_field_and_broken_toml_are_refused() -> None:
    assert "things.hat.werable" in faults("wearable = true", "werable = true")
    assert "no valid TOML" in faults("wearable = true", "wearable =")
