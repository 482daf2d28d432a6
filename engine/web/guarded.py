"""The web application behind authorization: the gate before the MCP endpoints, and the pages and endpoints of OAuth."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware

from engine.auth import gate
from engine.auth.bearers import Bearers
from engine.auth.context import AuthContext
from engine.auth.gate import Gate, Streams
from engine.auth.granting import endpoints, grants
from engine.auth.granting.documents import Fetcher
from engine.auth.pages import account, login
from engine.auth.upstream import signing_in
from engine.auth.upstream.allowing import NOBODY, Allowing
from engine.auth.upstream.bounded import USUAL, Bounds
from engine.auth.upstream.providers import Provider
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
            *endpoints.routes(context, fetcher),
            *login.routes(context, providers),
            *signing_in.routes(context, providers, allowing, bounds),
            *account.routes(context),
        ],
        beside=[streams.running()],
    )
