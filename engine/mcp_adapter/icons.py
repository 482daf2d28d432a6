"""Icons: what the author gave, else Turnkeeper's own."""

from collections.abc import Iterable
from urllib.parse import quote

import mcp_types as t

_KEY = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><circle cx='5' cy='8' r='3' fill='none'"
    " stroke='%232b6cb0' stroke-width='2'/><path d='M8 8h7v3m-3-3v2' fill='none' stroke='%232b6cb0'"
    " stroke-width='2'/></svg>"
)
DEFAULT = "data:image/svg+xml," + quote(_KEY, safe="%/:=' ").replace(" ", "%20")


def icons(sources: Iterable[str], *, invented: bool = True) -> list[t.Icon] | None:
    """Icons of those addresses (https: or data:); without any Turnkeeper's own, or none if none may be invented."""
    return [_icon(source) for source in tuple(sources) or ((DEFAULT,) if invented else ())] or None


def _icon(source: str) -> t.Icon:
    svg = source.startswith("data:image/svg") or source.endswith(".svg")
    return t.Icon(src=source, mime_type="image/svg+xml" if svg else None, sizes=["any"] if svg else None)
