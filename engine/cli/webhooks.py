"""Commands about webhooks: add, list, show, test, rotate, enable, disable, remove, deliveries, replay."""

from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from typing import Annotated

import anyio
import typer
from rich.console import RenderableType
from rich.text import Text

from engine.application import opened
from engine.background.jobs import webhook_outbound
from engine.background.posting import Answer, post
from engine.cli import output
from engine.cli.inspect import AsJson
from engine.cli.reporting import NOT_DONE, settings_from
from engine.definition import OPERATION_NAMES
from engine.errors import InvalidArguments, Refused
from engine.outbound import Barred, Outbound, checked
from engine.registry import Registry
from engine.store import deliveries, webhooks
from engine.store.deliveries import Attempt, Delivery
from engine.store.records import Transaction
from engine.types import Json
from engine.webhooks import Message, Webhook, is_pattern, is_wanted, new_id, test_body

EVERYTHING = "*"
AT_ONCE = 500
"""Rows in one transaction: nobody waits long for it."""
RECENT = 20
"""Deliveries that `show` shows."""
_SHOWN = 500
"""Characters of an answer that a terminal gets to see."""

WebhookId = Annotated[str, typer.Argument(metavar="ID", help="The webhook's id, as `webhooks list` has it.")]


class State(StrEnum):
    """What becomes of a delivery."""

    WAITING = deliveries.WAITING
    DONE = deliveries.DONE
    DEAD = deliveries.DEAD


def add_webhook(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where events are posted to.")],
    types: Annotated[
        list[str] | None,
        typer.Option("--types", metavar="T", help="Which: cart.pay, cart.*, *.undo; repeated for more. Else all."),
    ] = None,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Tell also what happened before now, as far as it is kept.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Have an endpoint be told of events. Its secret is printed once, alone on standard output."""
    settings = settings_from()
    with opened(settings) as dispatcher:
        wanted = _checked_types(types or [EVERYTHING], dispatcher.registry)
        _check_url(webhook_outbound(settings), url)
        made, secret = dispatcher.store.write(lambda tx: webhooks.add(tx, url, wanted, from_start=from_start))
    if as_json:
        output.print_json({**_webhook_json(made), "secret": secret})
        return
    print(secret)
    said = f"{made.id} is told of {', '.join(wanted)}. The secret is not shown again."
    output.stderr().print(Text(output.safe(said), "dim"), soft_wrap=True)


def list_webhooks(as_json: AsJson = False) -> None:
    """List every webhook, with what waits for it and what it never took."""
    with opened(settings_from()) as dispatcher:
        found = dispatcher.store.read(
            lambda tx: [_webhook_json(one, deliveries.counted(tx, one.id)) for one in webhooks.listed(tx)]
        )
    if as_json:
        output.print_json({"webhooks": found})
        return
    made = output.table("webhook", "URL", "types", "waiting", "dead", "created", "disabled", whole=("webhook",))
    for one in found:
        counts = str(one["deliveries"]["waiting"]), str(one["deliveries"]["dead"])
        facts = (one["id"], one["url"], " ".join(one["types"]), *counts, output.shown_time(one["created_at"]))
        made.add_row(*map(Text, facts), Text(output.safe(one["disabled"] or ""), "yellow"))
    output.stdout().print(made if found else Text("No webhooks.", "dim"))


def show_webhook(webhook: WebhookId, as_json: AsJson = False) -> None:
    """Show a webhook, and its last deliveries with every attempt."""

    def read(transaction: Transaction) -> tuple[Json, list[Delivery]]:
        found = webhooks.named(transaction, webhook)
        counts = deliveries.counted(transaction, webhook)
        return _webhook_json(found, counts), deliveries.logged(transaction, webhook, limit=RECENT)

    with opened(settings_from()) as dispatcher:
        found, recent = dispatcher.store.read(read)
    if as_json:
        output.print_json({**found, "recent": [_delivery_json(one) for one in recent]})
        return
    console = output.stdout()
    console.print(Text(f"{found['id']}  {found['url']}", "bold"), soft_wrap=True)
    counts = ", ".join(f"{number} {state}" for state, number in found["deliveries"].items())
    created = output.shown_time(found["created_at"])
    console.print(Text(f"{' '.join(found['types'])} · {counts} · created {created}", "dim"), soft_wrap=True)
    if found["disabled"]:
        console.print(Text(output.safe(f"disabled: {found['disabled']}"), "yellow"), soft_wrap=True)
    elif found["failing_since"]:
        console.print(Text(f"failing since {output.shown_time(found['failing_since'])}", "yellow"))
    console.print(_table(recent))
    for one in recent:
        for number, attempt in enumerate(one.attempts, 1):
            facts = f"{one.id} attempt {number} {output.shown_time(attempt.at)} {_came(attempt)}"
            console.print(Text(output.safe(f"{facts} in {attempt.seconds:g} s"), "dim"), soft_wrap=True)


def test_webhook(webhook: WebhookId, as_json: AsJson = False) -> None:
    """Send a message of the type turnkeeper.test at once, and say what came back; nothing is repeated or kept."""
    settings = settings_from()

    def made(transaction: Transaction) -> Message:
        found, secrets = webhooks.named(transaction, webhook), webhooks.signing(transaction, webhook)
        body = test_body(found.id, transaction.now)
        return Message(new_id(), found.id, found.url, body, transaction.now, secrets)

    with opened(settings) as dispatcher:
        message = dispatcher.store.read(made)
    answer = anyio.run(post, webhook_outbound(settings), message)
    if as_json:
        output.print_json({"id": message.id, **_attempt_json(answer.attempt(message)), "answer": _text(answer)})
    else:
        console = output.stdout()
        console.print(
            Text(output.safe(f"{message.id}: {_came(answer.attempt(message))} in {answer.seconds:.3f} s")),
            soft_wrap=True,
        )
        if answer.body:
            console.print(Text(output.safe(_text(answer)[:_SHOWN]), "dim"), soft_wrap=True)
    if not answer.attempt(message).is_taken:
        raise typer.Exit(NOT_DONE)


def rotate_webhook(webhook: WebhookId, as_json: AsJson = False) -> None:
    """Give a webhook a new secret, printed once; the one before signs along for 24 hours."""
    with opened(settings_from()) as dispatcher:
        secret = dispatcher.store.write(lambda tx: webhooks.rotate(tx, webhook))
    if as_json:
        output.print_json({"id": webhook, "secret": secret})
        return
    print(secret)
    output.stderr().print(Text("It is not shown again. The one before signs along for 24 hours.", "dim"))


def enable_webhook(webhook: WebhookId, as_json: AsJson = False) -> None:
    """Have a webhook be told again, of what waits for it, too."""
    _change(webhook, partial(webhooks.enable, webhook=webhook), "is enabled", as_json)


def disable_webhook(webhook: WebhookId, as_json: AsJson = False) -> None:
    """Have a webhook be told of nothing until it is enabled; what it would be told waits."""
    _change(webhook, partial(webhooks.disable, webhook=webhook), "is disabled; what it would be told waits", as_json)


def remove_webhook(webhook: WebhookId, as_json: AsJson = False) -> None:
    """Remove a webhook, with all that waits for it and the log of what it was told."""
    with opened(settings_from()) as dispatcher:
        dispatcher.store.write(lambda tx: webhooks.silence(tx, webhook))
        while not dispatcher.store.write(lambda tx: webhooks.remove(tx, webhook, AT_ONCE)):
            pass
    _say(f"{webhook} is removed.", {"removed": webhook}, as_json)


def list_deliveries(
    webhook: Annotated[str | None, typer.Argument(metavar="ID", help="Only this webhook's.")] = None,
    state: Annotated[State | None, typer.Option("--state", help="Only those that are so.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="So many at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List what webhooks were told or are to be told, the newest first; the dead ones with --state dead."""

    def read(transaction: Transaction) -> list[Delivery]:
        if webhook is not None:
            webhooks.named(transaction, webhook)
        return deliveries.logged(transaction, webhook, state, limit)

    with opened(settings_from()) as dispatcher:
        found = dispatcher.store.read(read)
    if as_json:
        output.print_json({"deliveries": [_delivery_json(one) for one in found]})
    else:
        output.stdout().print(_table(found))


def replay_deliveries(
    delivery: Annotated[str | None, typer.Argument(metavar="DELIVERY", help="A delivery's id.")] = None,
    dead: Annotated[str | None, typer.Option("--dead", metavar="ID", help="All dead ones of this webhook.")] = None,
    as_json: AsJson = False,
) -> None:
    """Have a delivery, or a webhook's dead ones, go out again: the same message to the letter, under the same id."""
    if (delivery is None) == (dead is None):
        raise InvalidArguments("Say one of the two: a delivery's id, or --dead with a webhook's.")
    with opened(settings_from()) as dispatcher:
        store, count = dispatcher.store, 1
        if delivery is not None:
            store.write(lambda tx: deliveries.replay(tx, delivery))
        else:
            webhook = store.read(lambda tx: webhooks.named(tx, str(dead))).id
            count = 0
            while some := store.write(lambda tx: deliveries.replay_dead(tx, webhook, AT_ONCE)):
                count += some
    _say(f"{count} to go out again.", {"replayed": count}, as_json)


def _change(webhook: str, work: partial[None], said: str, as_json: bool) -> None:
    def changed(transaction: Transaction) -> Webhook:
        webhooks.named(transaction, webhook)
        work(transaction)
        return webhooks.named(transaction, webhook)

    with opened(settings_from()) as dispatcher:
        found = dispatcher.store.write(changed)
    _say(f"{webhook} {said}.", _webhook_json(found), as_json)


def _check_url(outbound: Outbound, url: str) -> None:
    """Insist that a URL may be asked, as of now. Raises InvalidArguments, Refused."""
    try:
        parts = checked(url)
    except Barred as error:
        raise InvalidArguments(
            f"{url[:100]!r} cannot be a webhook's: {error}.", hint="Right is: https://app.example/webhooks"
        ) from None
    try:
        anyio.run(outbound.addresses, parts)
    except (Barred, OSError) as error:
        why = error if isinstance(error, Barred) else "its host cannot be looked up"
        raise Refused(
            "address_refused",
            f"{url} is not asked: {why}.",
            hint="Webhooks are https URLs of public hosts. TURNKEEPER_WEBHOOK_NETWORKS lists other networks, where"
            " http will do, too.",
        ) from None


def _checked_types(types: Sequence[str], registry: Registry) -> list[str]:
    """Types of which each names some event there is here. Raises InvalidArguments."""
    made = [name for name in OPERATION_NAMES if name != "on_copy"]
    events = [f"{world}.{name}" for world, one in registry.worlds.items() for name in (*one.actions, *made)]
    for pattern in types:
        if not is_pattern(pattern) or not any(is_wanted([pattern], event) for event in events):
            raise InvalidArguments(
                f"--types {pattern[:100]!r} names no event of a world here.",
                hint=f"Events are <world>.<action>, with * for any part: cart.pay, cart.*, *.undo. Worlds here:"
                f" {', '.join(registry.worlds)}; beside their actions there are {', '.join(made)}.",
            )
    return list(dict.fromkeys(types))


def _table(found: Sequence[Delivery]) -> RenderableType:
    made = output.table("delivery", "webhook", "event", "session", "state", "created", "last attempt", whole=("state",))
    for one in found:
        event = f"{one.type} at {one.revision}"
        last = _came(one.attempts[-1]) if one.attempts else ""
        facts = (one.id, one.webhook, event, one.session, one.state, output.shown_time(one.created_at), last)
        made.add_row(*(Text(output.safe(fact)) for fact in facts))
    return made if found else Text("No deliveries.", "dim")


def _came(attempt: Attempt) -> str:
    return attempt.error or f"answered {attempt.status}"


def _text(answer: Answer) -> str:
    return answer.body.decode(errors="replace")


def _webhook_json(webhook: Webhook, counts: dict[str, int] | None = None) -> dict[str, Json]:
    found = {
        "id": webhook.id,
        "url": webhook.url,
        "types": list(webhook.types),
        "created_at": webhook.created_at,
        "disabled": webhook.disabled,
        "failing_since": webhook.failing_since,
    }
    return found if counts is None else {**found, "deliveries": counts}


def _delivery_json(delivery: Delivery) -> dict[str, Json]:
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
        "attempts": [_attempt_json(attempt) for attempt in delivery.attempts],
    }


def _attempt_json(attempt: Attempt) -> dict[str, Json]:
    return {"at": attempt.at, "seconds": attempt.seconds, "status": attempt.status, "error": attempt.error}


def _say(text: str, value: Json, as_json: bool) -> None:
    if as_json:
        output.print_json(value)
    else:
        output.stdout().print(Text(output.safe(text)), soft_wrap=True)
