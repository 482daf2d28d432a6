"""A `subscriptions/listen` stream (MCP 2026-07-28): the acknowledgement, then what its outbox has, then the result.

The SDK's own handler ends a stream that falls behind; ours tells it less often.
"""

from typing import Any

import mcp_types as t
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY, ResourceUpdated, event_to_notification

from engine.mcp_adapter.asking import Context
from engine.mcp_adapter.outbox import Outbox


async def listened(context: Context, uris: list[str], outbox: Outbox) -> t.SubscriptionsListenResult:
    """Serve a stream that subscribed to URIs until its outbox is closed; the request's result."""
    number = context.request_id
    if number is None:
        raise MCPError(t.INVALID_REQUEST, "subscriptions/listen requires a request id")
    meta: dict[str, Any] = {SUBSCRIPTION_ID_META_KEY: number}
    honored = t.SubscriptionFilter(resource_subscriptions=uris or None)
    acknowledged = t.SubscriptionsAcknowledgedNotificationParams(notifications=honored, _meta=meta)
    await context.session.send_notification(
        t.SubscriptionsAcknowledgedNotification(params=acknowledged), related_request_id=number
    )
    while (uri := await outbox.next()) is not None:
        await context.session.send_notification(
            event_to_notification(ResourceUpdated(uri), meta), related_request_id=number
        )
    return t.SubscriptionsListenResult(_meta=meta)
