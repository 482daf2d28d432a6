"""Turnkeeper's front door: all that a world imports."""

from sqlalchemy.orm import aliased

from engine.actions import No, action, nobody
from engine.asking import Answer, Asking, Form, Roots, Sample
from engine.commands import Terminal, command
from engine.content import Audio, Embedded, Image, Link, Reply, Text
from engine.drawing.lettering import breadth, shortened, shown
from engine.effects import EffectCall, Failed, effect
from engine.errors import Refused
from engine.hooks import after, on_change
from engine.models import HistoryRow, Part, Row
from engine.recorded import Origin
from engine.resources import prompt, resource
from engine.shared_rows import SharedRow
from engine.states import Compound, Final, History, Parallel
from engine.store.matching import Matching
from engine.terms import Phrase, Prefix, Word
from engine.transitions import done, on_enter, on_exit, transition
from engine.types import Change, Principal, Written, storable
from engine.upgrades import upgrade
from engine.world import World

__all__ = [
    "Answer",
    "Asking",
    "Audio",
    "Change",
    "Compound",
    "EffectCall",
    "Embedded",
    "Failed",
    "Final",
    "Form",
    "History",
    "HistoryRow",
    "Image",
    "Link",
    "Matching",
    "No",
    "Origin",
    "Parallel",
    "Part",
    "Phrase",
    "Prefix",
    "Principal",
    "Refused",
    "Reply",
    "Roots",
    "Row",
    "Sample",
    "SharedRow",
    "Terminal",
    "Text",
    "Word",
    "World",
    "Written",
    "action",
    "after",
    "aliased",
    "breadth",
    "command",
    "done",
    "effect",
    "nobody",
    "on_change",
    "on_enter",
    "on_exit",
    "prompt",
    "resource",
    "shortened",
    "shown",
    "storable",
    "transition",
    "upgrade",
]
