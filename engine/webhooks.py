"""What is said to webhooks, and how it is signed (Standard Webhooks 1.0): no database, no network.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
import json
import random
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase

from engine.types import Change, Json, dumped

SCHEDULE = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
)
"""How long to wait after each attempt that failed; after the last one, no more."""
JITTER = 0.1
"""The part of a wait by which it may be longer, so that what failed at once does not come again at once."""
LONGEST_WAIT = timedelta(days=1)
"""As much of a Retry-After as is heeded."""
OVERLAP = timedelta(hours=24)
"""How long a secret that was replaced signs along."""
GIVEN_UP = timedelta(days=5)
"""How long every delivery may fail until the webhook is disabled."""
TEST = "turnkeeper.test"
"""The type of the message that tries a webhook out."""
_PREFIX = "whsec_"
_PATTERN = re.compile(r"[a-z0-9_*]+\.[a-z0-9_*]+|\*")


@dataclass(frozen=True, slots=True)
class Webhook:
    """An endpoint, and of which types of events it is told. `disabled` says why it is told of nothing now."""

    id: str
    url: str
    types: tuple[str, ...]
    created_at: str
    disabled: str | None = None
    failing_since: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One attempt at telling a webhook: `body` is the same at each, `at` is when this one began."""

    id: str
    webhook: str
    url: str
    body: str
    at: datetime
    secrets: tuple[str, ...] = field(repr=False)
    session_id: int = 0
    attempt: int = 1

    @property
    def headers(self) -> dict[str, str]:
        """The headers that say which message it is and who signed it."""
        seconds = int(self.at.timestamp())
        signed = f"{self.id}.{seconds}.{self.body}".encode()
        signatures = " ".join(signature(secret, signed) for secret in self.secrets)
        return {"webhook-id": self.id, "webhook-timestamp": str(seconds), "webhook-signature": signatures}


def new_id() -> str:
    """A new message's id."""
    return f"msg_{secrets.token_hex(12)}"


def new_secret() -> str:
    """A new secret: 32 random bytes."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signature(secret: str, signed: bytes) -> str:
    """A signature by a secret."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def type_of(change: Change) -> str:
    """The type of event that a change is."""
    return f"{change.world}.{change.action}"


def is_wanted(types: Iterable[str], event: str) -> bool:
    """Whether a type of event is one of those that are named, with `*` for any characters."""
    return any(fnmatchcase(event, pattern) for pattern in types)


def is_pattern(text: str) -> bool:
    """Whether a text can name types of events."""
    return _PATTERN.fullmatch(text) is not None


def world_of(types: Iterable[str]) -> str | None:
    """The world that all these types are of; None if they may be of several."""
    worlds = {pattern.partition(".")[0] for pattern in types}
    one = next(iter(worlds)) if len(worlds) == 1 else "*"
    return None if "*" in one else one


def body_of(change: Change) -> str:
    """What a webhook is told of a change: where to look, and nothing of arguments, documents or people."""
    data: dict[str, Json] = {
        "session": change.session,
        "world": change.world,
        "revision": change.revision,
        "action": change.action,
        "state_before": change.state_before,
        "state": change.state,
        "undone": change.undone,
    }
    return dumped(_envelope(type_of(change), change.at, {name: data[name] for name in data if data[name] is not None}))


def trial_body(webhook: str, at: datetime) -> str:
    """What a webhook is told to try it out."""
    return dumped(_envelope(TEST, at, {"webhook": webhook}))


def pause(attempt: int, retry_after: timedelta | None) -> timedelta | None:
    """How long to wait after the n-th attempt failed; None if it was the last."""
    if attempt > len(SCHEDULE):
        return None
    wait = SCHEDULE[attempt - 1] * (1 + JITTER * random.random())
    return max(wait, min(retry_after or wait, LONGEST_WAIT))


def retry_after(text: str | None, now: datetime) -> timedelta | None:
    """How long a Retry-After says to wait (RFC 9110, 10.2.3), if it says so."""
    if text is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", text.strip()):
        return timedelta(seconds=int(text))
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) - now


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret of a webhook; `until` says when it stops to sign, if it was replaced."""

    text: str = field(repr=False)
    until: str | None = None


def dumped_secrets(kept: Sequence[Secret]) -> str:
    """Secrets as they are kept, before they are sealed."""
    return dumped([[secret.text, secret.until] for secret in kept])


def loaded_secrets(text: str, at: str) -> list[Secret]:
    """Those of the kept secrets that sign at a time, the newest first."""
    return [Secret(*pair) for pair in json.loads(text) if pair[1] is None or pair[1] > at]


def _envelope(event: str, at: datetime, data: Json) -> Json:
    return {"type": event, "timestamp": at.isoformat(timespec="microseconds"), "data": data}
