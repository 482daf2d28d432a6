"""Setting timers going again that failed: the operator mended what was wrong."""

from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict

from engine.errors import Refused
from engine.operations import Done, Opened, Operation, as_it_was
from engine.timers import read
from engine.types import Role

TIMER_CHANGE = "timer"
"""The change that says what became of a timer beside being done: it was refused, failed, or was resumed."""


class ResumeArguments(BaseModel):
    """Of which action the timers go on that failed."""

    model_config = ConfigDict(extra="forbid")
    action: str
    outcome: Literal["resumed"] = "resumed"


def _resume(opened: Opened) -> Done:
    action, found = opened.arguments["action"], read(opened.record.timers)
    if not any(timer.action == action and timer.failed is not None for timer in found):
        failed = ", ".join(sorted({timer.action for timer in found if timer.failed is not None})) or "none"
        raise Refused(
            "not_failed", f"No timer of {action!r} failed in this session.", hint=f"Those that did are of: {failed}."
        )
    resumed = [replace(timer, failed=None) if timer.action == action else timer for timer in found]
    return replace(as_it_was(opened, f"The timers of {action} go on."), timers=tuple(resumed))


RESUME = Operation(TIMER_CHANGE, ResumeArguments, Role.OWNER, lambda definition: definition.write_scope, _resume)
"""Set the timers of an action going again that failed."""
