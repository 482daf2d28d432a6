"""What can be done to a session of any world: undo, redo, share, end, set failed timers going again."""

from collections.abc import Mapping
from dataclasses import replace

from pydantic import BaseModel, ConfigDict

from engine import history
from engine.compensating import check_redo, compensate
from engine.content import Text
from engine.operations import Done, Opened, Operation, as_it_was
from engine.resuming import RESUME
from engine.shares import SHARE
from engine.types import Role


class NoArguments(BaseModel):
    """Nothing."""

    model_config = ConfigDict(extra="forbid")


def _undo(opened: Opened) -> Done:
    parts = opened.transaction, opened.definition, opened.record, opened.rows
    shared, effects = compensate(*parts, lambda: opened.world((), sets_timers=False))
    done = _reversed(opened, history.undo(_desk(opened)), "Undone")
    return replace(done, shared=shared, effects=(*effects, *opened.wanted), seed=opened.seed)


def _redo(opened: Opened) -> Done:
    effects = check_redo(opened.transaction, opened.definition, opened.record)
    return replace(_reversed(opened, history.redo(_desk(opened)), "Done again"), effects=effects)


def _reversed(opened: Opened, reversal: history.Reversal, word: str) -> Done:
    entry = history.entry_at(opened.transaction, opened.record, reversal.target)
    text = f"{word}: {entry.action} of revision {reversal.target}."
    return Done(
        value={"revision": reversal.target, "action": entry.action},
        content=(Text(text).block(),),
        state=reversal.state,
        data=reversal.data,
        timers=reversal.timers,
        rows=reversal.rows,
        undo_top=reversal.undo_top,
        redo_top=reversal.redo_top,
        target=reversal.target,
        below=reversal.below,
        adopted=reversal.adopted,
    )


def _end(opened: Opened) -> Done:
    opened.record.ended_at = opened.transaction.at
    opened.record.main_of = None
    done = as_it_was(opened, "The session has ended. It can still be read and forked.")
    return replace(done, timers=())


def _desk(opened: Opened) -> history.Desk:
    ahead = opened.prepared if isinstance(opened.prepared, history.Ahead) else None
    return history.Desk(
        opened.transaction, opened.definition, opened.record, opened.rows, ahead, opened.transaction.limits.at_once
    )


OPERATIONS: Mapping[str, Operation] = {
    operation.name: operation
    for operation in (
        Operation("undo", NoArguments, Role.EDITOR, lambda definition: definition.write_scope, _undo),
        Operation("redo", NoArguments, Role.EDITOR, lambda definition: definition.write_scope, _redo),
        SHARE,
        Operation("end", NoArguments, Role.OWNER, lambda definition: definition.write_scope, _end),
        RESUME,
    )
}
"""What can be done to a session of any world."""
