"""Sign-ins elsewhere that were begun: what has to come back with them is in a cookie that only we can read.

There is one cookie for each, so that two that are begun at once do not disturb
each other; and no row, so that those who only begin leave nothing behind.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy.dialects import postgresql, sqlite
from starlette.requests import Request
from starlette.responses import Response

from engine.auth.context import AuthContext
from engine.auth.people.browsers import cookie_name
from engine.auth.tokens import hashed
from engine.sealing import sealed, unsealed
from engine.store.access import SpentRow
from engine.store.records import Transaction
from engine.types import Json

WITHIN = timedelta(minutes=10)
"""How long somebody may take at a provider."""
MOST = 8
"""Sign-ins that a browser has begun at once."""
LONGEST = 3800
"""Characters of a cookie: browsers drop longer ones."""


class TooLong(ValueError):
    """There is more to come back to than a cookie can hold."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in elsewhere: its state, what authlib keeps for it, where to go on, and when it is over."""

    state: str
    session: Mapping[str, Json]
    onwards: str
    until: str


def begun(now: datetime, state: str, session: Mapping[str, Json], onwards: str) -> Begun:
    """A sign-in of which authlib has noted what it needs."""
    ((name, noted),) = session.items()
    data = noted.get("data") if isinstance(noted, dict) else None
    if not isinstance(data, dict):
        raise TypeError("authlib keeps a sign-in's data under `data`")
    kept: dict[str, Json] = {name: {"data": {key: value for key, value in data.items() if key != "url"}}}
    return Begun(state, kept, onwards, (now + WITHIN).isoformat(timespec="microseconds"))


def keep(context: AuthContext, request: Request, response: Response, what: Begun, secret: str) -> None:
    """Have the browser keep a sign-in; of too many, the others are dropped. Raises TooLong."""
    text = sealed(json.dumps(asdict(what)), secret)
    if len(text) > LONGEST:
        raise TooLong
    others = [name for name in request.cookies if name.startswith(_cookie(context, ""))]
    for name in others if len(others) >= MOST else ():
        _drop(context, response, name)
    response.set_cookie(
        _cookie(context, what.state),
        text,
        max_age=int(WITHIN.total_seconds()),
        path="/",
        secure=context.is_secure,
        httponly=True,
        samesite="lax",  # strict ones do not come along when another site sends the browser here
    )


def found(context: AuthContext, request: Request, state: str, secret: str, now: datetime) -> Begun | None:
    """The sign-in of a state, if this browser began it, and not too long ago."""
    text = unsealed(request.cookies.get(_cookie(context, state), ""), secret)
    what = None if text is None else Begun(**json.loads(text))
    if what is None or what.state != state or datetime.fromisoformat(what.until) <= now:
        return None
    return what


def drop(context: AuthContext, response: Response, state: str) -> None:
    """Have the browser forget a sign-in."""
    _drop(context, response, _cookie(context, state))


def spend(transaction: Transaction, what: Begun) -> bool:
    """Whether this is the first time that a sign-in comes to its end."""
    statement = (sqlite if transaction.dialect == "sqlite" else postgresql).insert(SpentRow)
    row = statement.values(hash=hashed(what.state), expires_at=what.until).on_conflict_do_nothing()
    return transaction.run(row.returning(SpentRow.hash)).first() is not None


def _cookie(context: AuthContext, state: str) -> str:
    return f"{cookie_name(context)}-at-{hashed(state)[:16] if state else ''}"


def _drop(context: AuthContext, response: Response, name: str) -> None:
    response.delete_cookie(name, path="/", secure=context.is_secure, httponly=True, samesite="lax")
