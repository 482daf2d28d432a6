"""What happens when a timer is due: its action or transition, as a change of its own by the principal `timer`.

One that a rule refuses is over by a change that says so; one that fails in an unforeseen way, or for a limit of the
server, stays, marked, so that a bug holds no session up and nothing is lost.
"""

from collections.abc import Mapping
from dataclasses import replace

from engine.arguments import canonical, parsed
from engine.definition import Definition
from engine.errors import InvalidArguments, LimitExceeded, Refused
from engine.failpoints import reach
from engine.journal import write
from engine.logs import Line, explained
from engine.operations import Done, Opened, as_it_was, operation_of
from engine.present import bring
from engine.registry import Registry
from engine.resuming import TIMER_CHANGE
from engine.store.records import Record, Transaction
from engine.timers import FAILED, Timer, first_due, read, without
from engine.types import TIMER, Change, dumped

AT_ONCE = 100
"""Timers of a session that are done before an action, at most; the rest is left for the next time."""
REASON = 200
"""Characters of a reason, at most."""


class Due(Exception):
    """A session has timers that are due, which go before what was to be done."""

    def __init__(self, record: Record) -> None:
        super().__init__(record.handle)
        self.session = record.handle


def is_due(transaction: Transaction, record: Record) -> bool:
    """Whether something is due in a session."""
    return record.due_at is not None and record.due_at <= transaction.at


def fire_first(
    transaction: Transaction, registry: Registry, session: str, tried: list[tuple[Timer, Line]]
) -> Change | None:
    """Do what is due first in a session, if anything is: `tried` is then that timer, with its line of the log.

    Raises what its action raises; Refused where it is possible no more.
    """
    tried.clear()
    if (found := _found(transaction, registry, session)) is None:
        return None
    definition, record, timer = found
    person = transaction.ensure_person(TIMER)
    tried.append((timer, Line(f"{definition.name}.{timer.action}", session)))
    opened = Opened(transaction, definition, record, TIMER, {}, None)
    opened.consume(timer)
    _insist_on_state(opened, timer)
    if timer.event is None:
        done, request = _acted(opened, timer)
    else:
        done, request = _moved(opened, timer, timer.event), "{}"
    if done.unchanged:
        raise Refused("unchanged", f"{timer.action} found nothing to do.")
    change = write(opened, done, timer.action, request, person, None)
    reach("timer_applied")
    return change


def note(transaction: Transaction, registry: Registry, session: str, timer: Timer, why: BaseException) -> Change | None:
    """Say what became of a timer that could not be done, unless another process was faster."""
    found = _found(transaction, registry, session)
    if found is None or found[2] != timer:
        return None
    definition, record, _ = found
    # A limit of this server is no rule of the world: an operator can raise it, and then the timer goes on.
    if isinstance(why, Refused | InvalidArguments) and not isinstance(why, LimitExceeded):
        said = {"action": timer.action, "outcome": "refused", "rule": why.rule, "reason": why.reason[:REASON]}
        return _noted(transaction, definition, record, said, without(read(record.timers), timer))
    failed = replace(timer, failed=f"{type(why).__name__[:FAILED]}, error {explained(why)}")
    said = {"action": timer.action, "outcome": "failed", "reason": failed.failed or ""}
    timers = [failed if one == timer else one for one in read(record.timers)]
    return _noted(transaction, definition, record, said, tuple(timers))


def _found(transaction: Transaction, registry: Registry, session: str) -> tuple[Definition, Record, Timer] | None:
    """What is due first in a session of a world that is here, brought to its version."""
    record = transaction.session(session)
    definition = None if record is None else registry.definition(record.world)
    if record is None or definition is None:
        return None
    bring(transaction, definition, record)
    timer = first_due(read(record.timers), transaction.now)
    return None if timer is None else (definition, record, timer)


def _noted(
    transaction: Transaction,
    definition: Definition,
    record: Record,
    said: Mapping[str, str | None],
    timers: tuple[Timer, ...],
) -> Change:
    person = transaction.ensure_person(TIMER)
    opened = Opened(transaction, definition, record, TIMER, {}, None)
    done = replace(as_it_was(opened, ""), timers=timers)
    change = write(opened, done, TIMER_CHANGE, dumped(dict(said)), person, None)
    reach("timer_applied")
    return change


def _insist_on_state(opened: Opened, timer: Timer) -> None:
    active = opened.configuration.active
    if timer.state and timer.state not in active:
        raise Refused("state_left", f"The timer was set within {timer.state!r}, which the session is not in any more.")


def _acted(opened: Opened, timer: Timer) -> tuple[Done, str]:
    definition = opened.definition
    action = definition.actions.get(timer.action)
    if action is None or action.read_only or action.asks:
        raise Refused("unknown_action", f"{definition.name} has no action {timer.action!r} that a timer can do.")
    opened.arguments = parsed(action.parameters, timer.arguments)
    request = canonical(action.parameters, opened.arguments, opened.transaction.limits)
    return operation_of(action).carry_out(opened), request


def _moved(opened: Opened, timer: Timer, event: str) -> Done:
    chart, record = opened.definition.chart, opened.record
    if not chart.is_sent(event) or not any(way.hears(event) for way in chart.transitions):
        raise Refused("unknown_action", f"{opened.definition.name} has no delayed transition {timer.action!r} there.")
    world = opened.world(())
    state = opened.fall_due(event, world)
    if state is None:
        raise Refused("not_enabled", f"The guards of {timer.action} said no, or another transition goes before it.")
    return opened.done(world, None, state, undo_top=record.revision + 1)
