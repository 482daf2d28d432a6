"""Commands about webhooks: add, list, show, test, rotate, enable, disable, remove, deliveries, replay."""

from enum import StrEnum
from functools import partial
from typing import Annotated

import anyio
import typer
from rich.text import Text

from engine.application import opened
from engine.background.jobs import webhook_outbound
from engine.background.posting import post
from engine.cli import output
from engine.cli.inspect import AsJson
from engine.cli.reporting import NOT_DONE, settings_from
from engine.cli.webhook_checks import check_url, checked_types
from engine.cli.webhook_output import attempt_json, came, delivery_json, table, text_of, trouble_json, webhook_json
from engine.errors import InvalidArguments
from engine.store import deliveries, webhooks
from engine.store.deliveries import Delivery
from engine.store.records import Transaction
from engine.types import Json
from engine.webhooks import Message, Webhook, new_id, trial_body

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
        wanted = checked_types(types or [EVERYTHING], dispatcher.registry)
        check_url(webhook_outbound(settings), url)
        made, secret = dispatcher.store.write(lambda tx: webhooks.add(tx, url, wanted, from_start=from_start))
    if as_json:
        output.print_json({**webhook_json(made), "secret": secret})
        return
    print(secret)
    said = f"{made.id} is told of {', '.join(wanted)}. The secret is not shown again."
    output.stderr().print(Text(output.safe(said), "dim"), soft_wrap=True)


def list_webhooks(as_json: AsJson = False) -> None:
    """List every webhook, with what waits for it and what it never took."""
    with opened(settings_from()) as dispatcher:
        found = dispatcher.store.read(
            lambda tx: [webhook_json(one, deliveries.counted(tx, one.id)) for one in webhooks.listed(tx)]
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
        troubles = [trouble_json(one) for one in webhooks.troubles(transaction, webhook)]
        return {**webhook_json(found, counts), "troubles": troubles}, deliveries.logged(
            transaction, webhook, limit=RECENT
        )

    with opened(settings_from()) as dispatcher:
        found, recent = dispatcher.store.read(read)
    if as_json:
        output.print_json({**found, "recent": [delivery_json(one) for one in recent]})
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
    for one in found["troubles"]:
        said = f"{one['session']} at {one['revision']}: no message could be made: {one['error']}"
        console.print(Text(output.safe(said), "yellow"), soft_wrap=True)
    if found["troubles"]:
        console.print(Text(f"`turnkeeper webhooks enable {webhook}` tries again.", "dim"))
    console.print(table(recent))
    for one in recent:
        for number, attempt in enumerate(one.attempts, 1):
            facts = f"{one.id} attempt {number} {output.shown_time(attempt.at)} {came(attempt)}"
            console.print(Text(output.safe(f"{facts} in {attempt.seconds:g} s"), "dim"), soft_wrap=True)


def try_webhook(webhook: WebhookId, as_json: AsJson = False) -> None:
    """Send a message of the type turnkeeper.test at once, and say what came back; nothing is repeated or kept."""
    settings = settings_from()

    def made(transaction: Transaction) -> Message:
        found, secrets = webhooks.named(transaction, webhook), webhooks.signing(transaction, webhook)
        body = trial_body(found.id, transaction.now)
        return Message(new_id(), found.id, found.url, body, transaction.now, secrets)

    with opened(settings) as dispatcher:
        message = dispatcher.store.read(made)
    answer = anyio.run(post, webhook_outbound(settings), message)
    if as_json:
        output.print_json({"id": message.id, **attempt_json(answer.attempt(message)), "answer": text_of(answer)})
    else:
        console = output.stdout()
        console.print(
            Text(output.safe(f"{message.id}: {came(answer.attempt(message))} in {answer.seconds:.3f} s")),
            soft_wrap=True,
        )
        if answer.body:
            console.print(Text(output.safe(text_of(answer)[:_SHOWN]), "dim"), soft_wrap=True)
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
        output.print_json({"deliveries": [delivery_json(one) for one in found]})
    else:
        output.stdout().print(table(found))


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
    _say(f"{webhook} {said}.", webhook_json(found), as_json)


def _say(text: str, value: Json, as_json: bool) -> None:
    if as_json:
        output.print_json(value)
    else:
        output.stdout().print(Text(output.safe(text)), soft_wrap=True)
