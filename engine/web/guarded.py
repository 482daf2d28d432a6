"""The web application behind authorization: the gate before the MCP endpoints, and the pages and endpoints of OAuth."""

from starlette.applications import Starlette
from starlette.middleware import Middleware

from engine.auth import account_pages, endpoints, gate, grants, pages
from engine.auth.bearers import Bearers
from engine.auth.context import AuthContext
from engine.auth.documents import Fetcher
from engine.auth.gate import Gate, Streams
from engine.dispatch import Dispatcher
from engine.web.app import build_app


def guarded_app(
    dispatcher: Dispatcher, hosts: tuple[str, ...], context: AuthContext, fetcher: Fetcher | None = None
) -> Starlette:
    """The ASGI app of a server where each request says by a token who asks."""
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
            *pages.routes(context),
            *account_pages.routes(context),
        ],
        beside=[streams.running()],
    )
