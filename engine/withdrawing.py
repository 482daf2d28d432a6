"""What becomes of a change's effects when it is undone, or done again.

An effect that nobody began is cancelled. One that was begun is somewhere
outside, so undo needs to be told how it is taken back, by the effect itself or
by the action that asked for it.
"""

from engine.definition import Definition
from engine.effects import Wanted, compensation
from engine.errors import EngineError, Refused
from engine.store import effects
from engine.store.effects import EffectRecord
from engine.store.records import Entry, Record, Transaction

NOTHING_LEFT = ("cancelled", "refused")
"""The states of effects that have nothing left to take back: an operator dropped it, or another takes it back."""


def withdraw(
    transaction: Transaction, definition: Definition, record: Record, entry: Entry, *, compensates: bool
) -> tuple[tuple[Wanted, ...], bool]:
    """Cancel what a change that is undone asked for and nobody began: what takes the rest back, and whether all does.

    `compensates`: the action says itself how it takes back what is left. Raises Refused where nobody does.
    """
    wanted: list[Wanted] = []
    left: list[EffectRecord] = []
    asked = effects.of_change(transaction, record.id, entry.revision)
    found = [row for row in asked if row.compensates is None and row.state not in NOTHING_LEFT]
    for row in found:
        if row.state == "waiting" and row.worker_id is not None:
            raise _begun(entry, row, "is being carried out right now", "Try again when its outcome is there.")
    for row in found:
        one = definition.effects.get(row.name)
        if row.state == "waiting" and row.claimed_at is None:
            effects.end(transaction, row.id, "cancelled")
        elif row.state == "done" and one is not None and one.compensate is not None:
            wanted.append(_compensation(transaction, definition, entry, row))
        elif compensates:
            left.append(row)
        else:
            raise _begun(entry, row, _what(row), _hint(row))
    for row in left:
        if row.state in ("waiting", "parked"):  # nobody is to do it, or report it, for a change that was taken back
            effects.end(transaction, row.id, "cancelled", error=row.error)
    return tuple(wanted), not left


def ask_anew(transaction: Transaction, definition: Definition, record: Record, entry: Entry) -> tuple[Wanted, ...]:
    """What a change that is done again asks for anew. Raises Refused where an effect of it was begun."""
    wanted = []
    for row in effects.of_change(transaction, record.id, entry.revision):
        if row.state != "cancelled" or row.claimed_at is not None:
            raise _begun(entry, row, _what(row), f"Call {entry.action} again instead.")
        one = definition.effects.get(row.name)
        if one is None:
            raise Refused(
                "no_such_effect",
                f"{entry.action} at revision {entry.revision} asked for {row.name}, which {definition.name} does not"
                " have any more.",
                hint=f"Call {entry.action} again instead.",
            )
        wanted.append(Wanted(one, row.arguments))
    return tuple(wanted)


def _compensation(transaction: Transaction, definition: Definition, entry: Entry, row: EffectRecord) -> Wanted:
    one = definition.effects[row.name]
    try:
        return compensation(definition.effects, one, row, row.result, transaction.limits)
    except (EngineError, TypeError) as error:
        raise Refused(
            "cannot_compensate",
            f"{one.compensate} cannot take back {row.name}, which {entry.action} at revision {entry.revision} asked"
            f" for: {error}.",
            hint="Its handlers do not fit each other: see their parameters.",
        ) from None


def _what(row: EffectRecord) -> str:
    return {
        "waiting": "was begun and is tried again",
        "done": "was carried out",
        "failed": "was tried",
        "parked": "was tried, and waits for its operator",
        "refused": "was carried out and is taken back",
    }.get(row.state, "was begun")


def _hint(row: EffectRecord) -> str:
    later = "Try again when its outcome is there, or act against it." if row.state == "waiting" else "Act against it."
    return f"{later} Its author can say how it is taken back: @effect(compensate=…), or @action(compensate=…)."


def _begun(entry: Entry, row: EffectRecord, what: str, hint: str) -> Refused:
    return Refused(
        "effect_begun",
        f"{entry.action} at revision {entry.revision} asked for the effect {row.name}, which {what}.",
        hint=hint,
    )
