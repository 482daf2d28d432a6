"""Rendering pages: templates that escape, and headers that let nothing in but what a page has."""

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from engine.auth.context import AuthContext

TEMPLATES = Path(__file__).with_name("templates")


def page(context: AuthContext, name: str, status: int = 200, sends_to: str | None = None, **values: Any) -> Response:
    """A page. `sends_to` is where its form may be redirected beside this server: browsers hold redirects to it, too."""
    html = _environment().get_template(f"{name}.html").render(base=context.base, **values)
    action = "'self'" if sends_to is None else f"'self' {_source(sends_to)}"
    return HTMLResponse(html, status_code=status, headers=_headers(action))


def style() -> Response:
    """The one stylesheet."""
    text = (TEMPLATES / "pages.css").read_text("utf-8")
    headers = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}
    return Response(text, media_type="text/css", headers=headers)


def _headers(form_action: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none';"
        f" form-action {form_action}",
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


def _source(uri: str) -> str:
    """A redirect URI as a source of a content security policy: its origin, or its scheme."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f"{parts.scheme}:"


@cache
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
