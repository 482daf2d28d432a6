"""Every fault of a chart that can be seen without running it, with what would be right."""

from collections.abc import Iterator
from dataclasses import replace

from engine.charts import DONE, ROOT, Chart, Kind, Transition
from engine.soundness.behaviour import SITUATIONS, Behaviour, behaviour, comes, overshadowing
from engine.soundness.delays import outrun
from engine.soundness.structure import Problem, in_state, in_states, in_transition, misjoined, misplaced, together

__all__ = ["Problem", "problems"]


def problems(chart: Chart) -> Iterator[Problem]:
    """What is wrong with a chart, or may be. How it behaves is looked at when its structure is right."""
    found = list(misplaced(chart)) or list(misjoined(chart))
    if found:
        yield from found
        return
    does = behaviour(chart)
    yield from _states(chart, does)
    yield from _stops(chart, does)
    yield from _endless(chart, does)
    yield from _never_chosen(chart, does)
    yield from _delays(chart)
    if not does.complete:
        yield _too_large()


def _too_large() -> Problem:
    return Problem(
        "the chart",
        f"has more than {SITUATIONS:,} situations, and was judged state by state: what cannot happen only because of"
        " what is active beside it was not looked for, and dead ends together among some situations only",
        "have a test go through what its regions do together",
        certain=False,
    )


def _states(chart: Chart, does: Behaviour) -> Iterator[Problem]:
    """In the order of the document, of each state the worst that is to be said of it."""
    reported: set[str] = set()
    for state in chart.states:
        within, written = not reported.isdisjoint(chart.ancestors[state]), chart.written(state)
        if state not in does.reached:
            reported.add(state)
            if not within:
                yield _unreachable(chart, state)
        elif _is_still(chart, does, state):
            yield _dead_end(chart, state)
        elif state in does.spent:
            yield in_state(
                state,
                f"is a dead end when it is done: nothing hears {DONE}{state}, and no action can be taken then",
                f"give it a @transition(source={written}, target=…, on=done({written})), or an action source={written}",
            )
        elif _is_lost(chart, does, state):
            reported.add(state)
            if not within:
                yield _no_way_out(chart, state)


def _stops(chart: Chart, does: Behaviour) -> Iterator[Problem]:
    """Where it comes to a stop, or may, though that is to be said of no state alone: the first time in each state."""
    reported: set[str] = set()
    for states, places in sorted(does.stops.items(), key=lambda stop: bool(stop[1])):
        within = {above for state in states for above in (state, *chart.ancestors[state])}
        alone = any(_is_still(chart, does, state) for state in states) or not within.isdisjoint(does.spent)
        if not alone and chart.around(states) not in reported:
            reported.add(chart.around(states))
            yield _stop(chart, states, [chart.transitions[place] for place in sorted(places)])


def _stop(chart: Chart, states: tuple[str, ...], ways: list[Transition]) -> Problem:
    around, together = chart.written(chart.around(states)), " together" if len(states) > 1 else ""
    if not ways:
        what = f"are a dead end{together}: nothing can happen any more while all of them are active"
        return in_states(states, what, f"give an action source={around}, or one of them")
    named = " and ".join(dict.fromkeys(in_transition(way, "", "").place for way in ways))
    return in_states(
        states,
        f"may be a dead end{together}: no action can be taken then, and {named} may never be",
        f"give an action source={around}, or have one that is taken without guards=[…] and on=…",
        certain=False,
    )


def _is_still(chart: Chart, does: Behaviour, state: str) -> bool:
    return chart.node[state].kind is Kind.ATOMIC and state not in does.moving


def _is_lost(chart: Chart, does: Behaviour, state: str) -> bool:
    return not chart.finals.isdisjoint(does.reached) and state not in does.ending


def _unreachable(chart: Chart, state: str) -> Problem:
    remedy = f"give an action target={chart.written(state)}, or remove the state"
    return in_state(state, "is unreachable: no action leads there", remedy)


def _dead_end(chart: Chart, state: str) -> Problem:
    ways = [f"give an action source={chart.written(state)}", *_as_final(chart, state)]
    return in_state(state, "is a dead end: no action can be taken there", ", or ".join(ways))


def _as_final(chart: Chart, state: str) -> Iterator[str]:
    """How to say that a state is final, where one can be; within others, with what is to hear that they are done."""
    above = chart.node[state].parent
    if not chart.spelling.listed:
        finals = map(chart.written, chart.in_order({*chart.finals, state}))
        yield f"declare final={{{', '.join(finals)}}}"
    elif above == ROOT or any(
        way.hears(f"{DONE}{name}") for name in chart.ancestors[state] for way in chart.transitions
    ):
        yield f"write Final({chart.written(state)})"
    elif chart.node[above].kind is not Kind.PARALLEL:
        around = chart.written(above)
        yield f"write Final({chart.written(state)}) and a @transition(source={around}, target=…, on=done({around}))"


def _no_way_out(chart: Chart, state: str) -> Problem:
    finals = ", ".join(map(repr, chart.in_order(chart.finals)))
    return in_state(
        state,
        f"has no way to an end: from there no actions lead to {finals}",
        f"give an action source={chart.written(state)} that leads on towards an end",
    )


def _endless(chart: Chart, does: Behaviour) -> Iterator[Problem]:
    for places in does.endless:
        ways = [chart.transitions[place] for place in sorted(places)]
        arrows = ", ".join(f"{way.source or 'any state'!r} --> {' and '.join(map(repr, way.targets))}" for way in ways)
        yield in_transition(
            ways[0],
            f"never comes to rest: {arrows} would be taken by itself for ever",
            "give guards=[…] to what is to end it, or make it an action",
        )


def _never_chosen(chart: Chart, does: Behaviour) -> Iterator[Problem]:
    for place, transition in enumerate(chart.transitions):
        unfounded = list(_unfounded(chart, transition))
        yield from unfounded
        if place not in does.taken and not unfounded:
            why, remedy = _why_never(chart, does, place, transition)
            yield in_transition(transition, f"can never be chosen: {why}", remedy)


def _unfounded(chart: Chart, transition: Transition) -> Iterator[Problem]:
    """Done events of what is never done because it is not made of states."""
    for event in transition.events:
        name = event.removeprefix(DONE)
        if name != event and not any(_hears_done(transition, event, state) for state in _completable(chart)):
            is_there = (
                f"{name!r} is no state that holds others" if name in chart.node else f"there is no state {name!r}"
            )
            remedy = "name a Compound or Parallel in on=done(…)"
            yield in_transition(transition, f"can never be chosen at {event}: {is_there}", remedy)


def _completable(chart: Chart) -> list[str]:
    return [node.name for node in chart.nodes if node.kind in (Kind.COMPOUND, Kind.PARALLEL)]


def _hears_done(transition: Transition, event: str, state: str) -> bool:
    return replace(transition, events=(event,)).hears(f"{DONE}{state}")


def _why_never(chart: Chart, does: Behaviour, place: int, transition: Transition) -> tuple[str, str]:
    """The reason, and the remedy."""
    source = transition.source
    if source != ROOT and source not in does.reached:
        return f"its source {source!r} is unreachable", f"lead to {chart.written(source)}, or take another source"
    if source in chart.finals and not transition.events:
        return f"all has ended in {source!r}", "make it an action, or take another source"
    other = overshadowing(chart, place)
    if other is None:
        what = "another is always chosen before it, from within its source or beside it"
        preceded = what, "give guards=[…] to what is chosen before it, or remove it"
        return _why_never_done(chart, does, transition) or _why_never_sent(chart, does, transition) or preceded
    name = repr(other.label) if other.label else "another"
    if other.events or not transition.events:
        is_action = chart.calls is not None and other.label in chart.calls
        remedy = _instead_of(other.label) if is_action else f"put it before {name}, or give {name} guards=[…]"
        return f"{name}, before it, takes the same from {source!r}, without a guard", remedy
    return f"{name} leaves {source!r} at once, without a guard", f"give {name} guards=[…], or an event"


def _why_never_done(chart: Chart, does: Behaviour, transition: Transition) -> tuple[str, str] | None:
    """The reason and the remedy, if it waits for done events only, and none of them comes."""
    if not transition.events or not all(event.startswith(DONE) for event in transition.events):
        return None
    awaited = [state for state in _completable(chart) if transition.hears(f"{DONE}{state}")]
    state = next((state for state in awaited if _meet(chart, transition.source, state)), None)
    if state is None:
        what = f"{transition.source!r} is never active when {awaited[0]!r} is done"
        return what, f"take source={chart.written(awaited[0])}"
    if chart.node[state].kind is Kind.PARALLEL:
        return (
            f"the regions of {state!r} are never all done",
            f"lead to a Final(…) in each region of {chart.written(state)}",
        )
    if any(chart.node[child].kind is Kind.FINAL and child in does.reached for child in chart.children[state]):
        return None
    return f"{state!r} is never done", f"give Compound({chart.written(state)}, …) a Final(…), and lead to it"


def _why_never_sent(chart: Chart, does: Behaviour, transition: Transition) -> tuple[str, str] | None:
    """The reason and the remedy, if it waits for a call, or for what nobody sends while its source is active."""
    source, events = transition.source, transition.events
    word, name = events[0].partition(".")[0] if events else "", transition.label
    if any(comes(chart, source, event, does.reached) for event in events):
        if chart.calls is None or name in events or not chart.calls.keys() >= set(events):
            return None
        what = f"wherever {word!r} is possible, {source!r} is not active, or another is chosen before it"
        return what, _instead_of(word)
    if not events:
        return None
    if (before := outrun(chart).get(events[0])) is not None:
        name = repr(before.label) if before.label else "another"
        what = f"{name} is due before it and leaves {before.source!r}, without a guard"
        return what, f"give {name} guards=[…], or have it wait longer"
    if events[0] != word:
        return f"{word!r} is an action, and sends just {word!r}", f"write on={word!r}, or name the event otherwise"
    return f"{word!r} is not possible while {source!r} is active", f"make it an action, or {_instead_of(word)}"


def _instead_of(action: str) -> str:
    """What else than to hear an action, whose guards are asked before anything is heard."""
    return f"have it hear an event that {action!r} raises, on=…"


def _delays(chart: Chart) -> Iterator[Problem]:
    for node in chart.nodes:
        events = [delay.event for delay in node.delays]
        for event in dict.fromkeys(events):
            if events.count(event) > 1:
                what = f"has {events.count(event)} delays of {event!r}"
                yield in_state(node.name, what, "keep one of them, or give each an action of its own")
            if not any(way.hears(event) and _meet(chart, way.source, node.name) for way in chart.transitions):
                what = f"waits for {event!r}, which nothing hears there"
                waiting = f"@transition(source={chart.written(node.name)}, after=…)"
                remedy = f"write a {waiting} for what is due, or remove the delay"
                yield in_state(node.name, what, remedy)


def _meet(chart: Chart, source: str, state: str) -> bool:
    return source == ROOT or together(chart, source, state)
