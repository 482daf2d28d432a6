"""What is asked before anything is done: session, role, scope, revision, state and guards, in the path's order."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from engine.actions import Action, Guard
from engine.charts import Chart, Configuration
from engine.configurations import configuration_of
from engine.definition import Definition
from engine.errors import Conflict, Forbidden, InvalidArguments, NotFound, Refused
from engine.expiry import over
from engine.store.records import Entry, Record, Transaction
from engine.types import Principal, Role
from engine.world import World

KEY_LIMIT = 200
"""Characters of a key."""


def find(
    transaction: Transaction,
    principal: Principal,
    session: str,
    worlds: Mapping[str, Definition],
    world: str | None = None,
) -> tuple[Record, Role]:
    """The session of a handle and the caller's role. `worlds` are those installed, by name.

    Raises NotFound, the same for another's, and for one of a world that is not there for the caller, as for none.
    """
    record = transaction.unlocked(session) if session.isascii() else None
    there = record is not None and is_there(principal, worlds.get(record.world))
    role = role_of(transaction, principal, record) if record is not None and there else None
    if role is not None and transaction.locks:
        # Only now, so that a stranger neither waits for the session's others nor keeps them waiting.
        record = transaction.session(session)
        role = None if record is None else role_of(transaction, principal, record)
    if record is None or role is None or (world is not None and record.world != world):
        kind = "session" if world is None else f"{world} session"
        raise NotFound(
            f"There is no {kind} {session[:60]!r}.",
            hint="list_sessions names yours; without `session` the call goes to your main one.",
        )
    return record, role


def role_of(transaction: Transaction, principal: Principal, record: Record) -> Role | None:
    """What a principal may do with a session, if the call may touch it; the operator may do all."""
    if not principal.reaches(record.world, record.handle):
        return None
    return Role.OWNER if principal.operator else transaction.role(record, transaction.person_id(principal))


def is_there(principal: Principal, definition: Definition | None) -> bool:
    """Whether the sessions of a world are there for a principal; `definition` is None for one that is not installed."""
    return definition is None or definition.is_for(principal)


def at_large(principal: Principal) -> None:
    """Insist that a call is not kept to one session. Raises NotFound."""
    if principal.session is not None:
        raise NotFound(
            "There is no other session here: this access is to one alone.",
            hint=f"Name {principal.session}, or sign in for more.",
        )


def need(role: Role | None, needed: Role) -> None:
    """Insist on a role. Raises Forbidden."""
    if role is None or not role.covers(needed):
        raise Forbidden(f"This needs the role {needed}; you are {role or 'nobody'} here.", hint="Fork the session.")


def allow(principal: Principal, scope: str) -> None:
    """Insist on a scope. Raises Forbidden."""
    if not principal.allows(scope):
        raise Forbidden(f"This needs the scope {scope!r}, which was not granted.", scope=scope)


def check_key(key: str | None) -> None:
    """Insist that a key is a short string. Raises InvalidArguments."""
    if key is not None and not (isinstance(key, str) and 1 <= len(key) <= KEY_LIMIT):
        raise InvalidArguments(f"A key has 1 to {KEY_LIMIT} characters; received {str(key)[:40]!r}.")


def check_revision(record: Record, if_revision: int | None, since: Callable[[int], Iterable[Entry]]) -> None:
    """Insist that nothing happened since the caller looked. Raises Conflict."""
    if if_revision is None or if_revision == record.revision:
        return
    happened = ", ".join(f"{entry.revision}: {entry.action}{_short(entry.arguments)}" for entry in since(if_revision))
    raise Conflict(
        f"The session is at revision {record.revision}, not {if_revision}."
        + (f" Since then: {happened}." if happened else ""),
        revision=record.revision,
        hint="Look at it again, then decide anew.",
    )


def is_enabled(definition: Definition, configuration: Configuration, action: Action) -> bool:
    """Whether the state allows an action. A final state allows those that name it, and those that only read."""
    if action.sources is not None:
        return not action.sources.isdisjoint(configuration.active)
    return action.read_only or not definition.chart.is_final(configuration.active)


def check_possible(
    world: World, record: Record, definition: Definition, action: Action, arguments: Mapping[str, Any]
) -> None:
    """Insist on source state and guards, in order. Raises Refused by the first that says no."""
    configuration = configuration_of(definition.chart, record.state)
    no = _refusal(lambda: world, configuration, definition, action, action.guards, arguments)
    if no is not None:
        allowed = ", ".join(possible(lambda: world, record, definition, world.now)) or "undo, fork_session"
        hint = f"Possible now: {allowed}."
        raise Refused(no.rule, no.reason, hint=f"{no.hint} {hint}" if no.hint else hint)


def possible(
    view: Callable[[], World], record: Record, definition: Definition, now: datetime | None = None
) -> tuple[str, ...]:
    """The actions that state and the guards without arguments would let pass now; `view` is opened for guards only.

    `now` tells whether the session expired; right after a change it may be left out.
    """
    return tuple(name for name, no in asked(view, record, definition, now) if no is None)


def asked(
    view: Callable[[], World], record: Record, definition: Definition, now: datetime | None = None
) -> Iterator[tuple[str, Refused | None]]:
    """Every action, with what state or the first of the guards without arguments says against it."""
    no = over(record, definition, now)
    configuration = configuration_of(definition.chart, record.state)
    view = cache(view)
    for name, action in definition.actions.items():
        if action.only_for is not None and not action.only_for(view().principal):
            continue
        if no is not None:
            yield name, None if action.read_only else no
        else:
            guards = [guard for guard in action.guards if not guard.parameters]
            yield name, _refusal(view, configuration, definition, action, guards, {})


def _refusal(
    view: Callable[[], World],
    configuration: Configuration,
    definition: Definition,
    action: Action,
    guards: Iterable[Guard],
    arguments: Mapping[str, Any],
) -> Refused | None:
    if not is_enabled(definition, configuration, action):
        now = " + ".join(definition.chart.atomic(configuration.active))
        reason = f"{action.name} is not possible while the session is {now}."
        return Refused("wrong_state", reason, hint=f"It is possible in {_where(definition.chart, action)}.")
    for guard in guards:
        if (no := guard.answer(view(), arguments)) is not None:
            return Refused(guard.name, no.reason, hint=no.hint)
    return None


def _where(chart: Chart, action: Action) -> str:
    """The states that an action is possible in."""
    if action.sources is None:
        return f"every state but {', '.join(chart.in_order(chart.finals))}"
    *others, last = chart.in_order(action.sources)
    return f"{', '.join(others)} or {last}" if others else last


def _short(arguments: str) -> str:
    return "" if arguments == "{}" else f" {arguments[:60]}"
