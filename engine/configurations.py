"""Where a session is in its chart, as text: what its row and its journal keep.

One innermost state without a past to recall is its name alone, so that a world
of flat states has plain words in its rows; anything else is a JSON object
`{"in": […], "history": {…}, "pending": […]}`, whose last two are left out while empty.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from engine.charts import ROOT, Chart, Configuration, Event
from engine.statechart import can_be_together, entered, is_legal
from engine.types import dumped

Step = Callable[[str], str | None]
"""What a name is now; None where nothing became of it."""


class Unknown(Exception):
    """A chart does not have what a stored configuration names: `what` says it, `name` is the name."""

    def __init__(self, what: str, name: str) -> None:
        super().__init__(f"{what} {name!r}")
        self.what = what
        self.name = name


def text_of(chart: Chart, configuration: Configuration) -> str:
    """A configuration as text."""
    names = chart.atomic(configuration.active)
    plain: dict[str, Any] = {"in": names}
    if configuration.history:
        plain["history"] = {name: chart.in_order(found) for name, found in sorted(configuration.history.items())}
    if configuration.pending:
        plain["pending"] = [[event.name, event.data] for event in configuration.pending]
    alone = len(plain) == len(names) == 1 and not names[0].startswith("{")
    return names[0] if alone else dumped(plain)


def first_text(chart: Chart) -> str:
    """The text of where a chart begins, before anything is carried out."""
    return text_of(chart, Configuration(entered(chart, chart.initial_of(ROOT))))


def configuration_of(chart: Chart, text: str) -> Configuration:
    """The configuration that a text of this very chart stands for. Raises Unknown."""
    found = chart.alone.get(text)
    return _read(chart, text, lambda name: name, older=False) if found is None else found


def is_known(chart: Chart, text: str) -> bool:
    """Whether a text stands for a configuration of this very chart."""
    try:
        configuration_of(chart, text)
    except Unknown:
        return False
    return True


def is_sound(text: str) -> bool:
    """Whether a text stands for a configuration of any chart: of an older version's, whose names are not known."""
    try:
        _plain(text)
    except Unknown:
        return False
    return True


def upgraded(chart: Chart, text: str, step: Step) -> str:
    """The text of an older version's configuration in this chart, whose names `step` makes of the older ones.

    A state that holds others by now is entered as its initial states say; a name of which nothing became is left out.
    Raises Unknown.
    """
    return text_of(chart, _read(chart, text, step, older=True))


def shown(text: str) -> str:
    """A configuration for people: its innermost states; what is none, as it stands."""
    try:
        return " + ".join(_plain(text)["in"])
    except Unknown:
        return text


def _read(chart: Chart, text: str, step: Step, *, older: bool) -> Configuration:
    plain = _plain(text)
    names = _stepped(chart, "state", plain["in"], step)
    recalled = plain.get("history", {})
    history = {
        now: frozenset(states)
        for name in recalled
        for now in _stepped(chart, "history", [name], step)
        if (states := _stepped(chart, "state", recalled[name], step))
    }
    for name, found in history.items():
        _insist_on_recalled(chart, name, found)
    active = entered(chart, names)
    inner = set(chart.atomic(active))
    if not is_legal(chart, active) or not (older or inner == set(names)):
        raise Unknown("configuration", " + ".join(names or plain["in"]))
    pending = tuple(Event(name, data) for name, data in plain.get("pending", ()))
    return Configuration(active, history, pending)


def _plain(text: str) -> Mapping[str, Any]:
    """The JSON form of a text. Raises Unknown."""
    if not text.startswith("{"):
        return {"in": [text]}
    try:
        plain = json.loads(text)
        history, pending = plain.get("history", {}), plain.get("pending", [])
        sound = _are_names(plain["in"]) and all(map(_are_names, history.values()))
        sound = sound and all(isinstance(name, str) for name, _ in pending)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        sound = False
    if not sound:
        raise Unknown("configuration", text[:60])
    return plain  # type: ignore[no-any-return]


def _are_names(found: object) -> bool:
    return isinstance(found, list) and bool(found) and all(isinstance(name, str) for name in found)


def _stepped(chart: Chart, what: str, names: Iterable[str], step: Step) -> list[str]:
    """What became of names in this chart. Raises Unknown."""
    return [_known(chart, what, now) for now in map(step, names) if now is not None]


def _known(chart: Chart, what: str, name: str) -> str:
    node = chart.node.get(name)
    if not name or node is None or node.kind.is_history != (what == "history"):
        raise Unknown(what, name)
    return name


def _insist_on_recalled(chart: Chart, history: str, recalled: frozenset[str]) -> None:
    """Insist that a history recalls what it may stand for: states within what it is in, active together."""
    within = chart.descendants[chart.node[history].parent]
    if not (recalled <= within and can_be_together(chart, recalled)):
        raise Unknown(f"history {history!r} of", " + ".join(chart.in_order(recalled)))


def innermost(chart: Chart, active: Collection[str]) -> str:
    """The state that says most of where a session is: the innermost one that holds all that is active."""
    return chart.around(state for state in active if chart.descendants[state].isdisjoint(active))
