"""How an effect ends: its outcome is an action, in the transaction in which the effect's row says that it is over.

Whoever reports it must still hold the effect; what comes late is dropped. An
outcome that the session refuses takes the effect back, where its author said how,
or parks it for a person to look at.
"""

from collections.abc import Callable
from dataclasses import dataclass

from engine.definition import Definition
from engine.effects import Ended, GaveUp, Succeeded, Wanted, compensation
from engine.errors import DefinitionError, EngineError, LimitExceeded, StoreError
from engine.logs import explained
from engine.operations import Call
from engine.outcomes import outcome_arguments
from engine.store import effects
from engine.store.effects import Asked, EffectRecord, Taken
from engine.store.records import Transaction
from engine.types import EFFECT, Change, dumped, storable

TEXT = 500
"""Characters of an error that are kept."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What an effect's row says now, or None where whoever reported did not hold it; the changes of its outcome."""

    state: str | None
    changes: tuple[Change, ...] = ()


def settle(
    transaction: Transaction,
    definition: Definition,
    taken: Taken,
    holder: str,
    ended: Ended,
    act: Callable[[Call], tuple[Change, ...]],
) -> Settled:
    """Carry out the action that an outcome comes back as, if one was named. Raises what that raises."""
    row = _held(transaction, taken, holder)
    if row is None:
        return Settled(None)
    one = definition.effects[taken.row.name]
    succeeded = isinstance(ended, Succeeded)
    action = one.on_success if succeeded else one.on_failure
    if action is None:
        return _end(transaction, row, ended, "done" if succeeded else "parked")
    if isinstance(ended, GaveUp) and ended.parked:
        return _end(transaction, row, ended, "parked")
    call = Call(
        principal=EFFECT,
        world=taken.world,
        action=action,
        arguments=outcome_arguments(definition.actions[action], ended),
        session=taken.handle,
        key=row.key,
    )
    changes = act(call)
    state = "done" if succeeded else "failed"
    return Settled(_end(transaction, row, ended, state).state, changes)


def refuse(
    transaction: Transaction, definition: Definition, taken: Taken, holder: str, ended: Ended, error: BaseException
) -> Settled:
    """Keep an outcome that could not be carried out: taken back by another effect, parked, or left to others."""
    row = _held(transaction, taken, holder)
    if row is None:
        return Settled(None)
    one, said = definition.effects[taken.row.name], _said(error)
    result = dumped(ended.value) if isinstance(ended, Succeeded) else None
    session = transaction.session(taken.handle)
    if session is not None and session.version > definition.version:
        # It was stored by a newer version of the world since the effect was claimed: whoever runs that reports it.
        effects.leave(transaction, row.id, result=result, error=said)
        return Settled("waiting")
    if _is_final(error) and isinstance(ended, Succeeded) and one.compensate is not None:
        try:
            back = compensation(definition.effects, one, row, result, transaction.limits)
        except (EngineError, TypeError) as unfit:
            return _end(transaction, row, ended, "parked", f"{said} And {one.compensate} cannot take it back: {unfit}")
        effects.insert_beside(transaction, row, asked(back))
        return _end(transaction, row, ended, "refused", said)
    return _end(transaction, row, ended, "parked", said)


def is_refusal(error: BaseException) -> bool:
    """Whether an error is an answer: the session does not take the outcome."""
    return isinstance(error, EngineError) and not isinstance(error, StoreError | DefinitionError)


def _is_final(error: BaseException) -> bool:
    """Whether a refusal stays one. What a limit of this server refuses, such as one of time, the operator can mend."""
    return is_refusal(error) and not isinstance(error, LimitExceeded)


def asked(wanted: Wanted) -> Asked:
    """An effect as it is kept."""
    return Asked(wanted.effect.name, wanted.arguments, wanted.effect.deadline, wanted.compensates)


def shortened(text: str) -> str:
    """An error as it is kept."""
    text = storable(text)
    return text if len(text) <= TEXT else f"{text[: TEXT - 1]}…"


def _held(transaction: Transaction, taken: Taken, holder: str) -> EffectRecord | None:
    """The effect, if it is still held; its session is locked first, as every change does."""
    session = transaction.session(taken.handle)
    if session is None or session.id != taken.row.session_id:  # erased, and perhaps imported again
        return None
    return effects.held(transaction, taken.row.id, holder)


def _end(transaction: Transaction, row: EffectRecord, ended: Ended, state: str, error: str | None = None) -> Settled:
    result = dumped(ended.value) if isinstance(ended, Succeeded) else None
    reason = None if isinstance(ended, Succeeded) else ended.reason
    effects.end(transaction, row.id, state, result=result, error=_joined(reason, error))
    return Settled(state)


def _joined(reason: str | None, error: str | None) -> str | None:
    parts = [part for part in (reason, error) if part]
    return shortened(" ".join(parts)) if parts else None


def _said(error: BaseException) -> str:
    if is_refusal(error):
        assert isinstance(error, EngineError)
        return f"Its outcome was refused ({error.rule}): {error}"
    return f"Its outcome failed in a way that was not foreseen; the log explains it as error {explained(error)}."
