"""Text in a drawing: what of it is shown, and how much room it takes."""

import unicodedata

KEPT = "\u200c\u200d"
"""The joiners, which some scripts cannot do without, though nothing is seen of them."""

NARROW, WIDE = 0.64, 1.05
"""How broad letters are, in parts of the size of the font: an estimate, on the safe side for the usual fonts."""


def shown(text: str) -> str:
    """Text on one line, with a sign in place of everything that is not to be seen."""
    seen = "".join(_seen(letter) for letter in text)
    return " ".join(seen.split())


def _seen(letter: str) -> str:
    if letter.isspace():
        return " "
    return letter if letter.isprintable() or letter in KEPT else "\ufffd"


def shortened(text: str, length: int) -> str:
    """Text that is shown, its end left out where it is too long."""
    text = shown(text)
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


def breadth(text: str, size: float) -> float:
    """How much room a line of text takes in a font of that size, by an estimate."""
    return size * sum(map(_share, text))


def _share(letter: str) -> float:
    if unicodedata.combining(letter) or letter in KEPT:
        return 0.0
    wide = unicodedata.east_asian_width(letter) in "WF" or letter in "MWmw@%—…" or unicodedata.category(letter) == "So"
    return WIDE if wide else NARROW
