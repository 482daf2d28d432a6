"""Timers as values: what is due when, as long as a state is active, and what an author's call asks about them.

A session keeps its timers as a JSON list, in the order in which they were set.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from engine.charts import DUE, ROOT
from engine.statechart import Asked, Cancel, Effect, Schedule
from engine.types import Json, dumped

LONGEST = timedelta(days=36_500)
"""The longest time that anything waits."""
FAILED = 200
"""Characters of why a timer failed, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """Something that is due while `state` stays active; ROOT is the whole session.

    `action` is a world's action with its arguments as JSON, or `timer.` and the name of a delayed transition. `version`
    is the world's whose states it names. One that `failed`, for that reason, is due no more until it is resumed.
    """

    action: str
    arguments: Mapping[str, Json]
    state: str
    version: int
    set_at: datetime
    due_at: datetime
    failed: str | None = None

    @property
    def event(self) -> str | None:
        """What the chart hears when it is due, if it is a delayed transition's."""
        return event_of(self.action, self.state) if self.action.startswith(DUE) else None

    @property
    def plain(self) -> dict[str, Json]:
        """The timer as JSON."""
        found: dict[str, Json] = {
            "action": self.action,
            "arguments": dict(self.arguments),
            "state": self.state,
            "version": self.version,
            "set_at": _text(self.set_at),
            "due_at": _text(self.due_at),
        }
        return found if self.failed is None else {**found, "failed": self.failed}

    @property
    def shown(self) -> dict[str, Json]:
        """The timer for people and models."""
        return {name: value for name, value in self.plain.items() if name not in ("version", "set_at")}

    def anew(self, now: datetime) -> "Timer":
        """The same with its whole delay from now on."""
        return replace(self, set_at=now, due_at=now + (self.due_at - self.set_at))

    def later(self, by: timedelta) -> "Timer":
        """The same with as much left as there was so long ago."""
        return replace(self, set_at=self.set_at + by, due_at=self.due_at + by)


@dataclass(frozen=True, slots=True)
class Setting:
    """What an author's call asks for: a timer of a state. None is the innermost that holds all that is active after."""

    action: str
    arguments: Mapping[str, Json]
    after: timedelta
    state: str | None
    insists: bool = False
    """Whether that state has to be active after the change."""


@dataclass(frozen=True, slots=True)
class Dropping:
    """What an author's call asks for: that the timers of an action are no more."""

    action: str


class Inactive(Exception):
    """A timer was to be set in a state that is not active after the change."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(f"{setting.action} within {setting.state}")
        self.setting = setting


def event_of(action: str, state: str) -> str:
    """The event of a delayed transition, by what its timer is called and the state that it leads out of."""
    return f"{action}.{state}"


def read(text: str | None) -> tuple[Timer, ...]:
    """The timers of a JSON list. Raises ValueError for what is none."""
    return () if text is None or text == "null" else tuple(map(_read, _list(text)))


def text_of(timers: Iterable[Timer]) -> str | None:
    """Timers as a session's row has them; None if there are none."""
    plain = [timer.plain for timer in timers]
    return dumped(plain) if plain else None


def next_due(timers: Iterable[Timer]) -> str | None:
    """When the first of them is due, as text; None if none will be."""
    due = [timer.due_at for timer in timers if timer.failed is None]
    return _text(min(due)) if due else None


def first_due(timers: Iterable[Timer], now: datetime) -> Timer | None:
    """The first that is due by now."""
    due = [timer for timer in timers if timer.failed is None and timer.due_at <= now]
    return min(due, key=lambda timer: timer.due_at, default=None)


def without(timers: Iterable[Timer], gone: Timer) -> tuple[Timer, ...]:
    """Timers but for one."""
    kept = list(timers)
    kept.remove(gone)
    return tuple(kept)


def restored(timers: Iterable[Timer], now: datetime) -> tuple[Timer, ...]:
    """Timers that come back: one whose time is over has its whole delay anew."""
    return tuple(timer.anew(now) if timer.failed is None and timer.due_at <= now else timer for timer in timers)


def settled(
    timers: tuple[Timer, ...],
    effects: Iterable[Effect],
    *,
    version: int,
    now: datetime,
    around: str,
    active: Iterable[str],
) -> tuple[Timer, ...]:
    """The timers after a change whose effects these are, in order.

    `around` is the innermost state that holds all that is active then. Raises Inactive.
    """
    found = [(timer, False) for timer in timers]  # whether it was set for what comes after the change
    active = (ROOT, *active)
    for effect in effects:
        if isinstance(effect, Schedule):
            action = effect.event.removesuffix(f".{effect.state}")
            made = Timer(
                action=action, arguments={}, state=effect.state, version=version, set_at=now, due_at=now + effect.after
            )
            found.append((made, False))
        elif isinstance(effect, Cancel):
            found = [(timer, late) for timer, late in found if late or timer.state != effect.state]
        else:
            found = _asked(found, effect, version, now, around, active)
    return tuple(timer for timer, _ in found)


def _asked(
    found: list[tuple[Timer, bool]], effect: Asked, version: int, now: datetime, around: str, active: tuple[str, ...]
) -> list[tuple[Timer, bool]]:
    what = effect.what
    if isinstance(what, Dropping):
        return [(timer, late) for timer, late in found if timer.action != what.action]
    if not isinstance(what, Setting):
        raise TypeError(f"no chart asks for {what!r}")
    if what.insists and what.state not in active:
        raise Inactive(what)
    made = Timer(
        action=what.action,
        arguments=what.arguments,
        state=around if what.state is None else what.state,
        version=version,
        set_at=now,
        due_at=now + what.after,
    )
    return [*found, (made, what.state is None or what.insists)]


def _list(text: str) -> list[Json]:
    found = json.loads(text)
    if not isinstance(found, list):
        raise ValueError(f"no list of timers: {text[:40]!r}")
    return found


def _read(plain: Json) -> Timer:
    if not isinstance(plain, dict):
        raise ValueError(f"no timer: {plain!r:.40}")
    try:
        timer = Timer(**{**plain, **{name: datetime.fromisoformat(plain[name]) for name in ("set_at", "due_at")}})
    except (KeyError, TypeError) as error:
        raise ValueError(f"no timer: {error}") from None
    if not _is_sound(timer):
        raise ValueError(f"a timer of {timer.action!r:.40} is not whole")
    return timer


def _is_sound(timer: Timer) -> bool:
    texts = all(isinstance(text, str) for text in (timer.action, timer.state, timer.failed or ""))
    aware = all(time.tzinfo is not None and time.astimezone(UTC) == time for time in (timer.set_at, timer.due_at))
    sound = texts and aware and isinstance(timer.arguments, dict) and isinstance(timer.version, int)
    return sound and timedelta() < timer.due_at - timer.set_at <= LONGEST


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="microseconds")
