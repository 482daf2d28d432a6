"""What a person is asked when a client sends them: to sign in, to consent; or why it does not go on."""

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from engine.auth.context import AuthContext
from engine.auth.granting.asked import Asked
from engine.auth.granting.redirects import is_loopback
from engine.auth.pages.rendering import page
from engine.auth.people.browsers import Browser
from engine.auth.reach import Reach


def problem(context: AuthContext, reason: str, status: int = 400) -> Response:
    """Tell a person why it does not go on."""
    return page(context, "problem", status, reason=reason)


def to_login(context: AuthContext, request: Request) -> Response:
    """Send a person to sign in, and then back to what they asked for."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"{context.base}/login?{urlencode({'next': asked})}", status_code=303)


def consent(
    context: AuthContext, request: Request, browser: Browser, asked: Asked, scopes: Mapping[str, str], is_new: bool
) -> Response:
    """Ask a person whether a client may."""
    person = context.store.read(lambda tx: tx.person_name(browser.person_id or 0))
    warnings = []
    if is_loopback(asked.redirect_uri):
        warnings.append(
            "The answer goes to a program on the machine where this page is open."
            " Go on only if you started it just now."
        )
    if is_new:
        warnings.append("You have never let this client in before. Go on only if you asked it to connect.")
    return page(
        context,
        "consent",
        sends_to=asked.redirect_uri,
        asked=asked,
        action=f"{context.base}/authorize?{request.url.query}",
        host=urlsplit(asked.redirect_uri).netloc or f"{urlsplit(asked.redirect_uri).scheme}:",
        key=browser.form_key,
        person=person,
        reach=in_words(context, asked.reach),
        scopes=scopes,
        warnings=warnings,
    )


def in_words(context: AuthContext, reach: Reach | None) -> str:
    """How far something reaches; None is what was granted under another public URL."""
    if reach is None:
        return "nowhere any more, since this server's address is another now"
    if reach.session is not None:
        return f"in the session {reach.session} alone"
    if reach.world is None:
        return "in all of your worlds and sessions"
    world = context.registry.definition(reach.world)
    return f"in {reach.world if world is None else world.title} and your sessions of it"
