"""People of authorization's tests: they come as accounts or with a mail address, and call tools as themselves."""

from typing import Any

import anyio
from mcp.client import Client
from mcp_types import CallToolResult

from engine.auth.people.sharing import taken_up
from engine.dispatch import Dispatcher
from engine.mcp_adapter.catalog import Endpoint
from engine.mcp_adapter.server import build_server
from engine.mcp_adapter.subscriptions import Hub
from engine.store.access import AccountRow
from engine.store.records import Transaction
from engine.store.tables import PersonRow
from engine.types import Principal

UPSTREAM = "https://idp.example"


def account(login: str, name: str = "") -> Principal:
    """The principal of a local account."""
    return Principal("local", f"acc_{login}", name or login.capitalize())


def signed_in(transaction: Transaction, who: Principal, *, login: str | None = None, mail: str | None = None) -> int:
    """Have somebody sign in, who may be new, as accounts and upstream providers have it."""
    person = transaction.ensure_person(who)
    row = transaction.db.get_one(PersonRow, person)
    row.mail = mail
    if login is not None and transaction.db.get(AccountRow, person) is None:
        transaction.db.add(AccountRow(person_id=person, login=login, password="none", created_at=transaction.at))
    transaction.db.flush()
    taken_up(transaction, person, login, mail)
    return person


def come(dispatcher: Dispatcher, who: Principal, *, login: str | None = None, mail: str | None = None) -> int:
    """The same in a transaction of its own."""
    return dispatcher.store.write(lambda tx: signed_in(tx, who, login=login, mail=mail))


def tool(dispatcher: Dispatcher, who: Principal, name: str, **arguments: Any) -> CallToolResult:
    """What a tool answers somebody, over MCP."""

    async def called() -> CallToolResult:
        server = build_server(dispatcher, Hub(dispatcher.registry, dispatcher.store), Endpoint(), lambda context: who)
        async with Client(server) as client:
            return await client.call_tool(name, arguments)

    return anyio.run(called)


def structured(result: CallToolResult) -> dict[str, Any]:
    """A result's structured content."""
    content: Any = result.structured_content
    assert isinstance(content, dict), result
    return content


def code(result: CallToolResult) -> str:
    """The code of a refusal."""
    assert result.is_error, result
    return str(structured(result)["messages"][0]["code"])
