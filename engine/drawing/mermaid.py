"""A chart as a Mermaid state diagram."""

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import chain, count

from engine.charts import ROOT, Chart, Kind
from engine.drawing.arrows import Arrow, around, arrows, innermost
from engine.drawing.lettering import shown

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_WORDS = {
    *("accdescr", "acctitle", "as", "class", "classdef", "click", "default", "direction", "end", "href", "note"),
    *("root", "scale", "state", "statediagram", "style"),
}
"""What Mermaid reads as its own words, and what it calls the whole."""

_ENDS = ("_start", "_end")
"""How Mermaid calls each `[*]`: by the state that it is in, and one of these."""

_CURRENT = "classDef current fill:#2b6cb0,color:#fff,stroke-width:2px"
_WITHIN = "classDef within fill:#bee3f8,color:#1a365d"


def mermaid(chart: Chart, active: Collection[str] = ()) -> str:
    """The chart as a Mermaid stateDiagram-v2. The innermost active states are marked, and lightly what they are in.

    Mermaid knows no histories: they are states called H and H* here.
    """
    drawing = _Drawing(chart)
    lines = ["stateDiagram-v2", *drawing.body(ROOT, "    "), *drawing.across("    "), *drawing.ends(ROOT, "    ")]
    return "\n".join([*lines, *drawing.marks(active)]) + "\n"


class _Drawing:
    """A chart with what its nodes are called in Mermaid, and its arrows by the block that they are written in.

    A state belongs to the innermost block that names it. So a block names its own states only, and what leads
    from one block to another is written outside of all.
    """

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._ids = _ids(node.name for node in chart.nodes)
        self._arrows: dict[str | None, list[Arrow]] = {}
        for arrow in arrows(chart):
            self._arrows.setdefault(self._block(arrow), []).append(arrow)
        self._touched = {name for arrow in arrows(chart) for name in (arrow.source, arrow.target)}

    def _block(self, arrow: Arrow) -> str | None:
        source, target = self._chart.node[arrow.source], self._chart.node[arrow.target]
        same = source.parent == target.parent and self._chart.node[source.parent].kind is Kind.COMPOUND
        return source.parent if same else None

    def body(self, name: str, indent: str) -> Iterator[str]:
        """What is written in a compound state: its states, where it begins, and the arrows between."""
        held = (*self._chart.children[name], *self._chart.histories[name])
        for child in self._chart.in_order(held):
            yield from self._declared(child, indent)
        yield from self._starts(name, indent)
        for arrow in self._arrows.get(name, ()):
            yield f"{indent}{self._arrow(arrow)}"
        if name != ROOT:
            yield from self.ends(name, indent)

    def across(self, indent: str) -> Iterator[str]:
        """The arrows between states that are not directly in the same one."""
        return (f"{indent}{self._arrow(arrow)}" for arrow in self._arrows.get(None, ()))

    def ends(self, name: str, indent: str) -> Iterator[str]:
        """Which of the states directly in one are final."""
        finals = (child for child in self._chart.children[name] if self._chart.node[child].kind is Kind.FINAL)
        return (f"{indent}{self._ids[final]} --> [*]" for final in finals)

    def marks(self, active: Collection[str]) -> Iterator[str]:
        """The classes of active states, and of those around them."""
        for style, states in ((_CURRENT, innermost(self._chart, active)), (_WITHIN, around(self._chart, active))):
            if states:
                names = ",".join(self._ids[state] for state in states)
                yield from (f"    {style}", f"    class {names} {style.split()[1]}")

    def _declared(self, name: str, indent: str) -> Iterator[str]:
        node, given = self._chart.node[name], self._ids[name]
        called = f'"{_escaped(name)}" as {given}' if given != name else given
        if node.kind.is_history:
            yield f'{indent}state "{"H*" if node.kind is Kind.DEEP else "H"}" as {given}'
        elif self._chart.children[name]:
            yield f"{indent}state {called} {{"
            yield from self._inside(name, f"{indent}    ")
            yield f"{indent}}}"
        elif given != name:
            yield f"{indent}state {called}"
        elif node.parent != ROOT or name not in self._touched:
            yield f"{indent}{given}"

    def _inside(self, name: str, indent: str) -> Iterator[str]:
        if self._chart.node[name].kind is not Kind.PARALLEL:
            yield from self.body(name, indent)
            return
        for history in self._chart.histories[name]:
            yield from self._declared(history, indent)
        for place, region in enumerate(self._chart.children[name]):
            yield from [f"{indent}--"] if place else []
            yield from self._declared(region, indent)

    def _starts(self, name: str, indent: str) -> Iterator[str]:
        """Where a compound state begins: an arrow to the state directly in it, which says when it leads further in."""
        further: dict[str, list[str]] = {}
        for target in self._chart.initial_of(name):
            path = (target, *self._chart.ancestors[target])
            child = path[path.index(name) - 1]
            further.setdefault(child, []).extend([target] if target != child else [])
        for child, targets in further.items():
            into = f"into {', '.join(targets)}" if targets else ""
            yield f"{indent}[*] --> {self._ids[child]}{_said(into)}"

    def _arrow(self, arrow: Arrow) -> str:
        return f"{self._ids[arrow.source]} --> {self._ids[arrow.target]}{_said(arrow.label)}"


def _said(label: str) -> str:
    return f": {_escaped(label)}" if label.strip() else ""


def _ids(names: Iterable[str]) -> dict[str, str]:
    """By name, what Mermaid takes for its id: the name itself where that is a plain word."""
    names = list(names)
    ids = {name: name for name in names if _is_free(name)}
    taken = set(ids.values())
    for name in names:
        if name not in ids:
            numbered = (f"{_freed(name)}_{number}" for number in count(2))
            ids[name] = next(found for found in chain([_freed(name)], numbered) if found not in taken)
            taken.add(ids[name])
    return ids


def _is_free(word: str) -> bool:
    return bool(_PLAIN.fullmatch(word)) and word.lower() not in _WORDS and not word.endswith(_ENDS)


def _freed(name: str) -> str:
    """A plain word for a name, which Mermaid takes for nothing of its own."""
    word = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
    if word.endswith(_ENDS):
        word += "_"
    return word if _is_free(word) else f"state_{word}"


def _escaped(text: str) -> str:
    """Text without anything that means something to Mermaid, on one line."""
    plain = re.sub(r"[^\w\s.,()\[\]'*/+!?=-]", _entity, shown(text))
    return re.sub(r"direction (?=TB|BT|LR|RL)", "direction#32;", plain, flags=re.IGNORECASE)


def _entity(found: "re.Match[str]") -> str:
    return "#quot;" if found[0] == '"' else f"#{ord(found[0])};"
