"""What a text search looks for: one word, words that begin so, or words in a row; folded as they are stored."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Word:
    """Rows that have this word. Raises ValueError where it is not letters and digits alone."""

    text: str

    def __post_init__(self) -> None:
        _check(self.text)


@dataclass(frozen=True, slots=True)
class Prefix:
    """Rows that have a word that begins so. Raises ValueError where it is not letters and digits alone."""

    text: str

    def __post_init__(self) -> None:
        _check(self.text)


@dataclass(frozen=True, slots=True)
class Phrase:
    """Rows that have these words one after the other. Raises ValueError where one is not letters and digits alone."""

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.words:
            raise ValueError("a phrase has one word at least")
        for word in self.words:
            _check(word)


Term: TypeAlias = Word | Prefix | Phrase


def _check(word: str) -> None:
    if not word.isalnum():
        raise ValueError(f"{word!r} is no word; give letters and digits alone, as the searched column has them")
