"""A world of errands, in the file that a server loads: each is done outside, heard of, and timed.

What happened outside is a line in the file that `ERRAND_LEDGER` names: whoever
reads it knows what was done, however the process ended.
"""

import os
from datetime import timedelta

from pydantic import BaseModel

from engine import Change, EffectCall, World, action, effect, nobody, on_change

SOON = timedelta(milliseconds=30)


def note(*words: object) -> None:
    """Write a line that stays, whatever becomes of this process."""
    file = os.open(os.environ["ERRAND_LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{' '.join(map(str, words))}\n".encode())
    finally:
        os.close(file)


class Errands(BaseModel):
    asked: int = 0
    ran: list[int] = []
    rung: list[int] = []


@effect(on_success="ran", attempts=50)
async def run(call: EffectCall, number: int) -> dict[str, int]:
    """Run an errand."""
    note("effect", call.session, call.revision, call.key)
    return {"number": number}


class Errand(World, effects=[run]):
    """Errands to be run."""

    data: Errands

    @action
    def ask(self) -> int:
        """Ask for an errand, and be reminded of it soon."""
        self.data.asked += 1
        self.effect(run, number=self.data.asked)
        self.after(SOON, "ring", number=self.data.asked)
        return self.data.asked

    @action(only_for=nobody)
    def ran(self, number: int) -> None:
        """An errand was run."""
        self.data.ran.append(number)

    @action(only_for=nobody)
    def ring(self, number: int) -> None:
        """A reminder."""
        self.data.rung.append(number)

    @action(read_only=True)
    def look(self) -> Errands:
        """What was asked for, what was run, what rang."""
        return self.data


@on_change(Errand)
def hear(change: Change) -> None:
    """Hear of every change."""
    note("hook", change.session, change.revision, change.action)
