"""What a word may have been meant to be that nothing has: words one slip away, of those that the graph has.

The slips are a letter too many, too few or wrong, two letters that changed places, and, where none of these gives a
known word, two of the commonest: letters that changed places, or are double or not. Such words can be listed, and the
index of words says which of them there are, so nothing is kept for this.
"""

from collections.abc import Callable, Iterator
from itertools import islice

from engine import World
from worlds.graph.facts import Fact

SHORTEST, LONGEST = 3, 32
"""Characters of words that are corrected."""
MOST = 5
"""Words that one may have been meant to be."""
_LETTERS = (
    "abcdefghijklmnopqrstuvwxyzßøæœłđ",
    "αβγδεζηθικλμνξοπρστυφχψω",
    "абвгдежзийклмнопрстуфхцчшщъыьэюяіїєґ",
    "אבגדהוזחטיךכלםמןנסעףפץצקרשת",
    "ابتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "աբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆ",
    "აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ",
)


def near(graph: World, word: str, has: Callable[[str], bool]) -> list[str]:
    """Words that a word may have been meant to be, of those that a view of the graph has, the likeliest first."""
    if not SHORTEST <= len(word) <= LONGEST or word.isdecimal():
        return []
    for slips in (_small(word), _any(word), {two for one in _small(word) for two in _small(one)}):
        known = graph.rows(Fact).known(slips - {word})
        likely = sorted(known, key=lambda found: (found[0] != word[0], abs(len(found) - len(word)), found))
        if found := [*islice(filter(has, likely), MOST)]:
            return found
    return []


def _small(word: str) -> set[str]:
    """A word with two letters changed, or one doubled, or one of a double gone."""
    swapped = {word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(len(word) - 1)}
    doubled = {word[:at] + word[at] + word[at:] for at in range(len(word))}
    single = {word[:at] + word[at + 1 :] for at in range(1, len(word)) if word[at] == word[at - 1]}
    return swapped | doubled | single


def _any(word: str) -> set[str]:
    """A word with a letter more, less or another."""
    letters = [*_letters(word)]
    gone = {word[:at] + word[at + 1 :] for at in range(len(word))}
    other = {word[:at] + letter + word[at + 1 :] for at in range(len(word)) for letter in letters}
    more = {word[:at] + letter + word[at:] for at in range(len(word) + 1) for letter in letters}
    return gone | other | more


def _letters(word: str) -> Iterator[str]:
    for alphabet in _LETTERS:
        if not set(word).isdisjoint(alphabet):
            yield from alphabet
