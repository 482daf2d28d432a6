"""What a webhook may be: which addresses, and which types of events."""

from collections.abc import Sequence

import anyio

from engine.definition import OPERATION_NAMES
from engine.errors import InvalidArguments, Refused
from engine.outbound import Barred, Outbound, checked
from engine.registry import Registry
from engine.webhooks import is_pattern, is_wanted

_OF_NO_EVENT = ("fork", "on_copy")
"""A copy is begun with another session's past, of which nobody is told."""


def check_url(outbound: Outbound, url: str) -> None:
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


def checked_types(types: Sequence[str], registry: Registry) -> list[str]:
    """Types of which each names some event there is here. Raises InvalidArguments."""
    made = [name for name in OPERATION_NAMES if name not in _OF_NO_EVENT]
    events = [f"{world}.{name}" for world, one in registry.worlds.items() for name in (*one.actions, *made)]
    for pattern in types:
        if not is_pattern(pattern) or not any(is_wanted([pattern], event) for event in events):
            raise InvalidArguments(
                f"--types {pattern[:100]!r} names no event of a world here.",
                hint=f"Events are <world>.<action>, with * for any part: cart.pay, cart.*, *.undo. Worlds here:"
                f" {', '.join(registry.worlds)}; beside their actions there are {', '.join(made)}.",
            )
    return list(dict.fromkeys(types))
