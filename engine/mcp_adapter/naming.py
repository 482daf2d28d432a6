"""Which program a call came through: the OAuth client of its token, else what the MCP client calls itself."""

from dataclasses import replace

from engine.mcp_adapter.asking import Context
from engine.types import Principal, client_named


def through(principal: Principal, client: tuple[str, str]) -> Principal:
    """Who calls, through a client of that name and version unless the token says which it is."""
    return principal if principal.client is not None else replace(principal, client=client_named(*client))


def client_of(context: Context) -> tuple[str, str]:
    """The name and version that an MCP client gave, with its connection or beside its request."""
    parameters = context.session.client_params
    return ("", "") if parameters is None else (parameters.client_info.name, parameters.client_info.version)
