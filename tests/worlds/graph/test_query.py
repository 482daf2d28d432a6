"""The query language: what a query means, and where and why it is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Phrase, Prefix, Refused, Word
from worlds.graph.facts import words
from worlds.graph.search.query import All, Other, Related, Some, Typed, leaves, parsed

a, b, c = Word("a"), Word("b"), Word("c")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("José ÅNGSTRÖM naïve_x", "jose angstrom naive x"),
        ("हिन्दी की, कि", "हिन्दी की कि"),
        ("ปู ปี", "ปู ปี"),
        ("שָׁלוֹם مُحَمَّد", "שלום محمد"),
        ("日本 go", "日 本 go"),
    ],
)
def test_words_are_folded_and_keep_what_is_theirs(text: str, found: str) -> None:
    assert words(text) == found


@pytest.mark.parametrize(
    ("query", "tree"),
    [
        ("Dóg", Word("dog")),
        ("a b", All((a, b))),
        ("a AND b OR c", Some((All((a, b)), c))),
        ("a AND (b OR c)", All((a, Some((b, c))))),
        ("NOT a b", All((Other(a), b))),
        ("a -b -(b OR c)", All((a, Other(b), Other(Some((b, c)))))),
        ("and or not", All((Word("and"), Word("or"), Word("not")))),
        ('"AND"', Word("and")),
        ('"Hot  Dog"', Phrase(("hot", "dog"))),
        ("well-known", Phrase(("well", "known"))),
        ("dog*", Prefix("dog")),
        ('"dog"*', Prefix("dog")),
        ("type:person rel:works_at", All((Typed("person"), Related("works_at")))),
        ('TYPE:"two words" -rel:x', All((Typed("two words"), Other(Related("x"))))),
        ("http://a", Phrase(("http", "a"))),
        ("知识", Phrase(("知", "识"))),
        ("'; drop table", All((Word("drop"), Word("table")))),
    ],
)
def test_a_query_is_a_tree_of_sets(query: str, tree: Any) -> None:
    if query.startswith("'"):
        with pytest.raises(Refused, match="no letter or digit"):
            parsed(query)
    else:
        assert parsed(query) == tree


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("", "names nothing"),
        ("  ", "names nothing"),
        ('a "b', r"quotation mark that is never closed \(at character 3\)"),
        ("(a", r"opens a parenthesis that is never closed \(at character 1\)"),
        ("a)", r"never opened \(at character 2\)"),
        ("()", r"has \) where a word"),
        ("a AND", r"ends where a word.*\(at character 6\)"),
        ("OR a", r"has OR where a word.*\(at character 1\)"),
        ("a NOT", "ends where"),
        ("type:", 'has type: without what it is to be, such as type:person or type:"two words"'),
        ("a ?!", r"has '\?!', in which there is no letter or digit \(at character 3\)"),
        ('"hot dog"*', "an asterisk may follow one word"),
        ("a" * 1001, "has 1,001 characters"),
        ("a " * 33, "has more than 32 words"),
        ("(" * 400 + "a" + ")" * 400, r"more than 50 parentheses and NOTs within each other \(at character 51\)"),
        ("NOT " * 51 + "a", "more than 50 parentheses"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place_and_remedy(query: str, wrong: str) -> None:
    with pytest.raises(Refused, match=wrong) as refusal:
        parsed(query)
    assert refusal.value.hint is not None and "type:person" in refusal.value.hint


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from('()"-*: ANDORT')), max_size=40))
def test_any_text_is_a_query_or_refused(text: str) -> None:
    try:
        tree = parsed(text)
    except Refused as refusal:
        assert refusal.rule == "query"
    else:
        assert [*leaves(tree)]
