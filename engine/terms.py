"""What a text search looks for: one word, words that begin so, or words in a row; folded as they are stored."""

import unicodedata
from dataclasses import dataclass
from typing import TypeAlias

MARKS = ("Mn", "Mc")
"""Categories of what belongs to letters, such as the vowel signs of Hindi."""


@dataclass(frozen=True, slots=True)
class Word:
    """Rows that have this word. Raises ValueError where it is not letters and digits with their marks."""

    text: str

    def __post_init__(self) -> None:
        _check(self.text)

    @property
    def spaced(self) -> str:
        """What is in words that have it, where each has a space on both sides."""
        return f" {self.text} "


@dataclass(frozen=True, slots=True)
class Prefix:
    """Rows that have a word that begins so. Raises ValueError where it is not letters and digits with their marks."""

    text: str

    def __post_init__(self) -> None:
        _check(self.text)

    @property
    def spaced(self) -> str:
        """What is in words that have it, where each has a space on both sides."""
        return f" {self.text}"


@dataclass(frozen=True, slots=True)
class Phrase:
    """Rows that have these words one after the other. Raises ValueError where one is no word."""

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.words:
            raise ValueError("a phrase has one word at least")
        for word in self.words:
            _check(word)

    @property
    def spaced(self) -> str:
        """What is in words that have it, where each has a space on both sides."""
        return f" {' '.join(self.words)} "


Term: TypeAlias = Word | Prefix | Phrase


def _check(word: str) -> None:
    if not word[:1].isalnum() or not all(char.isalnum() or unicodedata.category(char) in MARKS for char in word):
        raise ValueError(f"{word!r} is no word; give letters and digits with their marks, as the column has them")
