"""What a copy of a session begins with: its world's `on_copy`, as a change of its own."""

from engine.definition import Definition
from engine.history import ON_COPY
from engine.journal import write
from engine.operations import Opened
from engine.present import bring
from engine.store.records import Record, Transaction
from engine.types import Change, Principal


def settle(transaction: Transaction, definition: Definition, record: Record, principal: Principal) -> Change | None:
    """Carry out the world's `on_copy` on a copy just made: the change that this is, if it changed anything.

    The copy has the past of its original, but claims none of the shared rows which that one claimed. Undo does not go
    past this change. Raises Refused.
    """
    if definition.on_copy is None:
        return None
    bring(transaction, definition, record)
    opened = Opened(transaction, definition, record, principal, {}, None)
    world = opened.world(tuple(definition.chart.node))
    definition.on_copy(world)
    done = opened.done(world, None, opened.move(world), undo_top=None)
    same = done.timers is None or done.timers == opened.waiting
    if (
        same
        and not done.effects
        and (done.state, done.data, done.rows, done.shared) == (record.state, record.data, (), ())
    ):
        return None
    return write(opened, done, ON_COPY, "{}", transaction.ensure_person(principal), None)
