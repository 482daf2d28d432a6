"""The web application behind authorization: the gate before the MCP endpoints, and the pages and endpoints of OAuth."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware

from engine.auth import account_pages, endpoints, gate, grants, pages, upstream
from engine.auth.allowing import NOBODY, Allowing
from engine.auth.bearers import Bearers
from engine.auth.bounded import USUAL, Bounds
from engine.auth.context import AuthContext
from engine.auth.documents import Fetcher
from engine.auth.gate import Gate, Streams
from engine.auth.providers import Provider
from engine.dispatch import Dispatcher
from engine.web.app import build_app


def guarded_app(
    dispatcher: Dispatcher,
    hosts: tuple[str, ...],
    context: AuthContext,
    fetcher: Fetcher | None = None,
    *,
    providers: Sequence[Provider] = (),
    allowing: Allowing = NOBODY,
    bounds: Bounds = USUAL,
) -> Starlette:
    """The ASGI app of a server where each request says by a token who asks.

    People may sign in at `providers`, too, whose answers are kept to `bounds`; those come in whom `allowing` means.
    """
    bearers = Bearers(
        lambda token: context.store.read(lambda tx: grants.verified(context, tx, token)), context.lifetimes.belief
    )
    streams = Streams(bearers)
    return build_app(
        dispatcher,
        hosts,
        Middleware(Gate, context=context, bearers=bearers, streams=streams),
        more=[
            *gate.routes(context),
            *endpoints.routes(context, pages, fetcher),
            *pages.routes(context, providers),
            *upstream.routes(context, providers, allowing, bounds),
            *account_pages.routes(context),
        ],
        beside=[streams.running()],
    )
