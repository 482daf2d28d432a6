"""SCXML documents as charts: for the W3C's tests only."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, parse

from engine.charts import ROOT, Chart, Content, Event, Kind, Node, Transition
from engine.statechart import Moment
from tests.engine.scxml.content import Execute, block, condition, done_data, script
from tests.engine.scxml.expressions import literal
from tests.engine.scxml.running import Failure, Machine

STATES = ("state", "parallel", "final", "history")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A document's chart, the machine it runs on, and the errors of its variables, which are heard first."""

    chart: Chart
    machine: Machine
    raised: tuple[Event, ...]


def load(file: Path) -> Loaded:
    """A document that is ready to run."""
    root = parse(file).getroot()
    for element in root.iter():
        # Some of the documents have their elements in no namespace.
        element.tag = element.tag.rpartition("}")[2]
    machine = Machine(root.get("name"))
    builder = _Builder(machine, file.parent, late=root.get("binding") == "late")
    raised = builder.declare(root, late=False)
    for element in root.findall("script"):
        raised += _caught(script(element), machine)
    for element in root:
        builder.add(element, ROOT)
    initial = tuple(root.get("initial", "").split())
    return Loaded(Chart(tuple(builder.nodes), tuple(builder.transitions), initial), machine, tuple(raised))


@dataclass
class _Builder:
    machine: Machine
    folder: Path
    late: bool
    nodes: list[Node] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)

    def add(self, element: Element, parent: str) -> None:
        """A state and what is in it, in document order."""
        if element.tag not in STATES:
            return
        name = element.get("id") or f"state-{len(self.nodes)}"
        initial, content = self._initial(element)
        data = element.find("donedata")
        self.nodes.append(
            Node(
                name=name,
                kind=_kind(element),
                parent=parent,
                initial=initial,
                initial_content=content,
                on_entry=(*self._late(element), *(block(part) for part in element.findall("onentry"))),
                on_exit=tuple(block(part) for part in element.findall("onexit")),
                done_data=None if data is None else done_data(data),
            )
        )
        if element.tag != "history":
            self.transitions += map(lambda part: _transition(part, name), element.findall("transition"))
        for part in element:
            self.add(part, name)

    def _initial(self, element: Element) -> tuple[tuple[str, ...], Content | None]:
        within = element if element.tag == "history" else element.find("initial")
        if within is None:
            return tuple(element.get("initial", "").split()), None
        way = within.find("transition")
        assert way is not None
        return tuple(way.get("target", "").split()), block(way) if len(way) else None

    def _late(self, element: Element) -> Iterator[Content]:
        """What gives a state's own variables their values when it is entered first, where binding is late."""
        if not self.late or element.find("datamodel") is None:
            return
        entered: list[bool] = []

        def bind(machine: Machine, moment: Any) -> None:
            if not entered:
                entered.append(True)
                for event in self.declare(element, late=True):
                    moment.raise_event(event)

        yield bind

    def declare(self, element: Element, *, late: bool) -> list[Event]:
        """Declare variables: all of the document, or those that a state binds late. Gives the errors."""
        found = element.find("datamodel") if late else None
        own = [element.find("datamodel")] if self.late else list(element.iter("datamodel"))
        models = [found] if late else own
        if not late:
            self.machine.variables |= {part.get("id", ""): None for part in element.iter("data")}
        parts = [part for model in models if model is not None for part in model.findall("data")]
        return [event for part in parts for event in _caught(self._binding(part), self.machine)]

    def _binding(self, part: Element) -> Execute:
        name, text, source = part.get("id", ""), part.get("expr"), part.get("src")

        def bind(machine: Machine, moment: Moment | None) -> None:
            if text is not None:
                machine.variables[name] = machine.evaluate(text, moment)
                return
            inline = part.text if source is None else (self.folder / source.removeprefix("file:")).read_text()
            if inline and inline.strip():
                machine.variables[name] = literal(inline)

        return bind


def _caught(work: Execute, machine: Machine) -> list[Event]:
    """The error that work outside of any step makes, if it does."""
    try:
        work(machine, None)
    except Failure as failure:
        return [failure.event]
    return []


def _kind(element: Element) -> Kind:
    match element.tag:
        case "parallel":
            return Kind.PARALLEL
        case "final":
            return Kind.FINAL
        case "history":
            return Kind.DEEP if element.get("type") == "deep" else Kind.SHALLOW
    return Kind.COMPOUND if any(part.tag in STATES[:3] for part in element) else Kind.ATOMIC


def _transition(element: Element, source: str) -> Transition:
    text = element.get("cond")
    return Transition(
        source=source,
        events=tuple(element.get("event", "").split()),
        targets=tuple(element.get("target", "").split()),
        guard=None if text is None else condition(text),
        content=block(element) if len(element) else None,
        internal=element.get("type") == "internal",
    )
