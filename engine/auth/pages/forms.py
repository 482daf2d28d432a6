"""Forms of our own pages: read, and held to be of the browser that shows the page."""

from collections.abc import Awaitable, Callable

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.auth.context import AuthContext
from engine.auth.pages.rendering import page
from engine.auth.people.browsers import Browser, browser_of
from engine.auth.reading import Unreadable, form_of

Handler = Callable[[Request], Awaitable[Response]]


class Rejected(Exception):
    """A form that is not taken, and why: for the person who sent it."""

    def __init__(self, reason: str, status: int = 403) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


async def sent_by(context: AuthContext, request: Request) -> tuple[Browser, dict[str, str]]:
    """Which browser sent a form, and its fields. Raises Rejected for a form of another page, Unreadable."""
    form = {name: values[0] for name, values in (await form_of(request)).items()}
    browser = await to_thread.run_sync(browser_of, context, request)
    if not browser.sent_form(form.get("key")):
        raise Rejected("This page was open too long, or the form is not of this browser. Go back and try again.")
    return browser, form


async def person_of(context: AuthContext, request: Request) -> tuple[Browser, int, dict[str, str]]:
    """Who sent a form, signed in, with their browser and its fields. Raises Rejected, Unreadable."""
    browser, form = await sent_by(context, request)
    if browser.person_id is None:
        raise Rejected("You are not signed in any more. Sign in and try again.")
    return browser, browser.person_id, form


def route(context: AuthContext, path: str, handler: Handler, methods: tuple[str, ...] = ("POST",)) -> Route:
    """A route to a page whose rejections are pages, too."""

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except Unreadable as error:
            return page(context, "problem", 400, reason=str(error))
        except Rejected as rejected:
            return page(context, "problem", rejected.status, reason=rejected.reason)

    return Route(path, answered, methods=list(methods))
