"""Likely duplicates: what is found, what is not, and how much of it is looked at."""

import random
from typing import Any

import pytest

from tests.worlds.graph.telling import Make, call, told, value
from worlds.graph.facts import alias, entity, observation, relation
from worlds.graph.survey import likeness
from worlds.graph.survey.likeness import alike, dice, reading


def pairs(found: dict[str, Any]) -> set[frozenset[str]]:
    return {frozenset((one["keep"], one["other"])) for one in found["pairs"]}


def test_names_in_other_letters_spacing_order_or_spelling_are_found_with_the_call_that_joins_them(
    dispatcher_of: Make,
) -> None:
    alike_ones = [
        ("José García", "JOSE GARCIA"),
        ("Acme-Corp.", "acme corp"),
        ("NewYork", "New York"),
        ("Lovelace, Ada", "Ada Lovelace"),
        ("John Smith", "Jon Smith"),
        ("Straße", "STRASSE"),
    ]
    others = ["Room 12", "Room 13", "Zürich", "Bern", "…", "!!!", "\u202eabc\u0007", "x" * 400_000]
    names = [name for pair in alike_ones for name in pair] + others
    found = value(told(dispatcher_of, [entity(name, "thing") for name in names]), "duplicates")
    assert pairs(found) == {frozenset(pair) for pair in alike_ones}
    assert found["exact"] and found["how"] == "all names were compared"
    first = next(one for one in found["pairs"] if "NewYork" in (one["keep"], one["other"]))
    assert first["merge"] == {"names": ["New York"], "into": "NewYork"}
    assert first["score"] == 0.9 and "both are of type 'thing'" in first["why"]


def test_what_is_known_of_both_speaks_for_them_and_that_they_are_related_against(dispatcher_of: Make) -> None:
    dispatcher = told(
        dispatcher_of,
        [
            entity("Anna Berg", "person"),
            entity("Ana Berg", "person"),
            observation("Ana Berg", "plays chess"),
            observation("Anna Berg", "plays chess"),
            observation("Ana Berg", "lives in Ulm"),
            relation("Anna Berg", "knows", "Otto"),
            relation("Ana Berg", "knows", "Otto"),
            relation("Ana Berg", "knows", "Ida"),
            entity("Karl Maier", "person"),
            entity("Karl Meier", "person"),
            relation("Karl Maier", "father_of", "Karl Meier"),
            entity("Tea", "drink"),
            entity("TEA", "company"),
        ],
    )
    found = value(dispatcher, "duplicates", threshold=0.6)["pairs"]
    by_name = {one["keep"]: one for one in found}
    assert {"1 neighbours in common", "1 observations in common"} <= set(by_name["Ana Berg"]["why"])
    assert by_name["Ana Berg"]["other"] == "Anna Berg"  # of which less is known
    assert by_name["Tea"]["types"] == ["drink", "company"] and by_name["Tea"]["score"] == 0.75
    low = value(dispatcher, "duplicates", threshold=0.5)["pairs"]
    related = next(one for one in low if "Karl Maier" in (one["keep"], one["other"]))
    assert related["why"][-1] == "but they are related to each other"


def test_what_was_merged_is_no_duplicate_any_more_and_limits_say_what_they_leave_out(dispatcher_of: Make) -> None:
    dispatcher = told(dispatcher_of, [entity("Ada", "person"), entity("ADA", "person"), entity("ada", "person")])
    found = value(dispatcher, "duplicates", limit=1)
    assert (len(found["pairs"]), found["left_out"], found["entities"]) == (1, 2, 3)
    call(dispatcher, "tell", facts=[alias("ADA", "Ada")])
    assert pairs(value(dispatcher, "duplicates")) == {frozenset(("Ada", "ada"))}
    assert len(value(dispatcher, "duplicates", as_of=2)["pairs"]) == 3
    text = call(dispatcher, "duplicates").content[0]["text"]
    assert isinstance(text, str) and "ada = Ada: the same but for case" in text


def test_an_entity_that_only_its_other_name_makes_one_is_compared(dispatcher_of: Make) -> None:
    dispatcher = told(dispatcher_of, [entity("Robert", "person"), entity("Bob", "person"), entity("Robbert", "person")])
    call(dispatcher, "merge", names=["Bob"], into="Robert")
    call(dispatcher, "retract_facts", ids=[1])
    found = value(dispatcher, "duplicates", threshold=0.5)
    assert found["entities"] == 2 and pairs(found) == {frozenset({"Robert", "Robbert"})}


def test_many_names_are_compared_in_part_and_quickly_and_always_alike() -> None:
    draw = random.Random(5)
    names = ["".join(draw.choices("abcdefghijklmnop", k=12)) for _ in range(20_000)]
    slips = {f"{name[:6]}{name[7:]}" for name in names[:50]}
    found = alike([*names, *slips], 0.6)
    assert found.partly is not None and "20,050" in found.partly
    near = {frozenset((like.one, like.other)) for like in found.pairs}
    assert sum(any(place >= 20_000 for place in pair) for pair in near) >= 45
    assert found == alike([*names, *slips], 0.6)


def test_names_that_all_read_the_same_are_taken_in_part() -> None:
    found = alike(["a" + "-" * count for count in range(400)], 0.6)
    assert len(found.pairs) == 50 * 49 // 2
    assert found.partly is not None and "of 400 names that read 'a', 50 were taken" in found.partly


@pytest.mark.parametrize("least", [0.5, 0.7, 0.9])
def test_comparing_by_rare_letters_finds_what_comparing_all_finds(least: float) -> None:
    draw = random.Random(3)
    names = list(dict.fromkeys("".join(draw.choices("abc ", k=draw.randint(3, 9))).strip() for _ in range(150)))
    names = [name for name in names if name]
    found = {(like.one, like.other) for like in alike(names, least).pairs if like.why == "spelt nearly the same"}
    firsts: dict[str, int] = {}
    for place, name in enumerate(names):
        firsts.setdefault(reading(name).replace(" ", ""), place)
    every = sorted(firsts.values())
    assert len(every) < likeness.EVERY
    readings = [reading(name) for name in names]
    expected = {(one, other) for one in every for other in every if one < other}
    expected = {(one, other) for one, other in expected if dice(readings[one], readings[other]) >= least}
    words_alike = {
        (one, other) for one, other in expected if sorted(readings[one].split()) == sorted(readings[other].split())
    }
    assert found == expected - words_alike
