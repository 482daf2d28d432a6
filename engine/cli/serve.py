"""Commands that serve MCP clients: serve over HTTP, stdio over pipes."""

import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from engine.cli import output
from engine.cli.reporting import settings_from
from engine.logs import LogFormatter
from engine.registry import Registry
from engine.settings import Settings
from engine.types import Json

NAME = "turnkeeper"
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
QUIET = ("alembic", "mcp", "httpx", "httpx2")
"""Libraries of which only warnings are wanted; else the log had the addresses of webhooks, which may hold secrets."""


def serve_http(
    host: Annotated[str | None, typer.Option("--host", help="Listen on this address.")] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Listen on this port.")] = None,
) -> None:
    """Serve MCP over HTTP; prints what clients need to connect."""
    import server

    configure_logging()
    server.serve(settings_from(host=host, port=port), _announce)


def serve_stdio(
    world: Annotated[
        str | None, typer.Option("--world", metavar="W", help="Serve this world alone, with bare tool names.")
    ] = None,
) -> None:
    """Serve MCP on standard input and output, for a client that starts this command."""
    import server

    server.stdio(settings_from(), world)


def _announce(settings: Settings, registry: Registry, link: str | None) -> None:
    console = output.stdout()
    print_configuration(console, settings, registry.worlds)
    if link is not None:
        console.print(Text("\nThere is no account yet. Make the first one here, once, within a day:\n", "bold"))
        console.print(Text(f"{link}\n"), soft_wrap=True)
    sys.stdout.flush()


def configure_logging() -> None:
    """Log to stderr, a line for each action."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogFormatter(LOG_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def print_configuration(console: Console, settings: Settings, worlds: Iterable[str]) -> None:
    """Addresses, and configuration to paste into clients."""
    url = f"{settings.url}/mcp"
    console.print(Text.assemble(("Turnkeeper", "bold green"), " serves\n"))
    addresses = [
        (url, "every world"),
        *((f"{settings.url}/worlds/{world}/mcp", f"{world} alone") for world in worlds),
        (f"{settings.url}/healthz", "whether it is well"),
    ]
    width = max(len(address) for address, _ in addresses)
    for address, note in addresses:
        console.print(Text.assemble("  ", (address.ljust(width), "bold cyan"), (f"  {note}", "dim")), soft_wrap=True)
    _print_pasteable(console, "A client that speaks HTTP:", {"type": "http", "url": url})
    _print_pasteable(console, "A client that starts its servers itself, with the same sessions:", stdio_configuration())
    console.print(Text("\nClaude Code:\n", "bold"))
    console.print(Text(f"claude mcp add --transport http {NAME} {url}\n"), soft_wrap=True)
    console.print(Text("Ctrl-C stops it; no session is lost.", "dim"))


def stdio_configuration() -> Json:
    """How a client starts this very installation, on this very database."""
    script = Path(sys.argv[0]).resolve()
    as_module = script.name == "__main__.py"
    command = [sys.executable, "-m", "engine.cli"] if as_module else [str(script)]
    configuration: Json = {"command": command[0], "args": [*command[1:], "stdio"]}
    given = {name: value for name, value in os.environ.items() if name in _SHARED and value}
    return configuration | ({"env": {name: _absolute(name, value) for name, value in given.items()}} if given else {})


_SHARED = ("TURNKEEPER_DATABASE_URL", "TURNKEEPER_DATA_DIR", "TURNKEEPER_WORLDS_PATH")


def _absolute(name: str, value: str) -> str:
    """A setting that does not depend on the working directory."""
    if name == "TURNKEEPER_DATABASE_URL":
        return value
    return ":".join(str(Path(part).resolve()) if part else "" for part in value.split(":"))


def _print_pasteable(console: Console, title: str, configuration: Json) -> None:
    console.print(Text(f"\n{title}\n", "bold"))
    console.print_json(data={"mcpServers": {NAME: configuration}}, indent=2)
