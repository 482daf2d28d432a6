"""How webhooks and their deliveries look in a terminal, and as JSON."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from engine.background.posting import Answer
from engine.cli import output
from engine.store.deliveries import Attempt, Delivery
from engine.store.positions import Trouble
from engine.types import Json
from engine.webhooks import Webhook


def table(found: Sequence[Delivery]) -> RenderableType:
    """A table of deliveries."""
    made = output.table("delivery", "webhook", "event", "session", "state", "created", "last attempt", whole=("state",))
    for one in found:
        event = f"{one.type} at {one.revision}"
        last = came(one.attempts[-1]) if one.attempts else ""
        facts = (one.id, one.webhook, event, one.session, one.state, output.shown_time(one.created_at), last)
        made.add_row(*(Text(output.safe(fact)) for fact in facts))
    return made if found else Text("No deliveries.", "dim")


def came(attempt: Attempt) -> str:
    """What came of an attempt, in a few words."""
    return attempt.error or f"answered {attempt.status}"


def text_of(answer: Answer) -> str:
    """The beginning of an answer's body."""
    return answer.body.decode(errors="replace")


def webhook_json(webhook: Webhook, counts: dict[str, int] | None = None) -> dict[str, Json]:
    """A webhook for programs, without its secret."""
    found = {
        "id": webhook.id,
        "url": webhook.url,
        "types": list(webhook.types),
        "created_at": webhook.created_at,
        "disabled": webhook.disabled,
        "failing_since": webhook.failing_since,
    }
    return found if counts is None else {**found, "deliveries": counts}


def delivery_json(delivery: Delivery) -> dict[str, Json]:
    """A delivery for programs, with its attempts."""
    return {
        "id": delivery.id,
        "webhook": delivery.webhook,
        "type": delivery.type,
        "session": delivery.session,
        "revision": delivery.revision,
        "state": delivery.state,
        "created_at": delivery.created_at,
        "due_at": delivery.due_at,
        "done_at": delivery.done_at,
        "attempts": [attempt_json(attempt) for attempt in delivery.attempts],
    }


def trouble_json(trouble: Trouble) -> dict[str, Json]:
    """A session of which a webhook cannot be told, for programs."""
    return {
        "session": trouble.session,
        "revision": trouble.revision,
        "attempts": trouble.attempts,
        "parked_at": trouble.parked_at,
        "error": trouble.error,
    }


def attempt_json(attempt: Attempt) -> dict[str, Json]:
    """An attempt for programs."""
    return {"at": attempt.at, "seconds": attempt.seconds, "status": attempt.status, "error": attempt.error}
