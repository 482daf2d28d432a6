"""The memory server's contract on the wire: what clients of it see, to the letter, over HTTP and on pipes."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp_types as t
import pytest
from jsonschema import Draft7Validator
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from tests.conftest import Database
from tests.postgres import PostgresServer
from tests.serving import SECONDS, Served, connected, pipes, post, serving
from tests.subscribing import hearing
from tests.worlds.graph.memory_model import TOOLS

pytestmark = [
    pytest.mark.anyio,
    # The SDK's client warns of every subscribe of the older revisions, which is what is tested here.
    pytest.mark.filterwarnings("ignore:resources/.*subscribe is removed:mcp.MCPDeprecationWarning"),
]
TOLD: list[dict[str, Any]] = json.loads(Path(__file__).with_name("memory_tools.json").read_text())
"""What the memory server's tools/list says, without `execution`, which the present revision has no more."""
PATH, URI = "/worlds/graph/mcp", "memory://knowledge-graph"
BOTH = ("auto", "legacy")
REFUSED = "MCP error -32602: Input validation error: Invalid arguments for tool "


@pytest.fixture
def anyio_backend() -> str:
    """The loop that the server uses, too."""
    return "asyncio"


@pytest.fixture
def served(database: Database, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    """A server on either database."""
    settings: dict[str, Any] = {}
    if database == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        settings["TURNKEEPER_DATABASE_URL"] = url = server.fresh()
        request.addfinalizer(lambda: server.drop(url))
    with serving(tmp_path, **settings) as found:
        yield found


on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def ada(*observations: str) -> dict[str, Any]:
    return {"name": "Ada", "entityType": "person", "observations": [*observations]}


@on_sqlite
def test_the_nine_tools_and_the_resource_are_described_to_the_letter(served: Served) -> None:
    tools = post(served, PATH, "tools/list").json()["result"]["tools"]
    assert tools[: len(TOLD)] == TOLD and [tool["name"] for tool in TOLD] == [*TOOLS]
    resources = post(served, PATH, "resources/list").json()["result"]["resources"]
    assert {
        "uri": URI,
        "name": "knowledge-graph",
        "title": "Knowledge Graph",
        "description": "The full knowledge graph with all entities and relations",
        "mimeType": "application/json",
    } in resources
    joined = post(served, "/mcp", "tools/list").json()["result"]["tools"]
    assert {f"graph_{name}" for name in TOOLS} <= {tool["name"] for tool in joined}


@on_sqlite
def test_results_fit_the_memory_servers_own_schemas_and_unknown_keys_are_dropped(served: Served) -> None:
    likes = {"from": "Ada", "to": "tea", "relationType": "likes"}
    calls: list[tuple[str, dict[str, Any], Any]] = [
        ("create_entities", {"entities": [{**ada("x"), "more": 1}], "and": 2}, {"entities": [ada("x")]}),
        ("create_relations", {"relations": [{**likes, "since": 1999}]}, {"relations": [likes]}),
        (
            "add_observations",
            {"observations": [{"entityName": "Ada", "contents": ["x", "y"], "when": None}]},
            {"results": [{"entityName": "Ada", "addedObservations": ["y"]}]},
        ),
        ("read_graph", {"limit": 3}, {"entities": [ada("x", "y")], "relations": [likes]}),
        ("search_nodes", {"query": "Y"}, {"entities": [ada("x", "y")], "relations": [likes]}),
        ("open_nodes", {"names": ["tea", "Ada"]}, {"entities": [ada("x", "y")], "relations": [likes]}),
        (
            "delete_observations",
            {"deletions": [{"entityName": "Ada", "observations": ["x"], "more": 1}]},
            {"success": True, "message": "Observations deleted successfully"},
        ),
        (
            "delete_relations",
            {"relations": [likes]},
            {"success": True, "message": "Relations deleted successfully"},
        ),
        (
            "delete_entities",
            {"entityNames": ["Ada"]},
            {"success": True, "message": "Entities deleted successfully"},
        ),
    ]
    schemas = {tool["name"]: tool["outputSchema"] for tool in TOLD}
    for tool, arguments, wanted in calls:
        result = post(served, PATH, "tools/call", {"name": tool, "arguments": arguments}).json()["result"]
        assert result["structuredContent"] == wanted and result["isError"] is False
        Draft7Validator(schemas[tool]).validate(result["structuredContent"])
        assert result.keys() - {"resultType"} == {"content", "structuredContent", "isError", "_meta"}
        (block,) = result["content"]
        if "success" in wanted:
            assert block == {"type": "text", "text": wanted["message"]}
        else:
            shown = wanted if len(wanted) > 1 else next(iter(wanted.values()))
            assert block == {"type": "text", "text": json.dumps(shown, indent=2, ensure_ascii=False)}


@on_sqlite
def test_arguments_that_do_not_fit_are_refused_in_the_memory_servers_words(served: Served) -> None:
    for tool, arguments, words in (
        ("create_entities", {}, "Invalid input: expected array, received undefined at entities"),
        ("create_entities", {"entities": "x"}, "Invalid input: expected array, received string at entities"),
        (
            "create_entities",
            {"entities": [ada(), {"name": 1, "entityType": None}, True]},
            "Invalid input: expected string, received number at entities[1].name\n"
            "Invalid input: expected string, received null at entities[1].entityType\n"
            "Invalid input: expected array, received undefined at entities[1].observations\n"
            "Invalid input: expected object, received boolean at entities[2]",
        ),
        ("create_entities", {"entities": 10**30}, "Invalid input: expected array, received number at entities"),
        (
            "add_observations",
            {"observations": [{"entityName": [], "contents": [{}, "fine", 1.5]}]},
            "Invalid input: expected string, received array at observations[0].entityName\n"
            "Invalid input: expected string, received object at observations[0].contents[0]\n"
            "Invalid input: expected string, received number at observations[0].contents[2]",
        ),
        ("search_nodes", {"query": None}, "Invalid input: expected string, received null at query"),
        ("open_nodes", {"names": {}}, "Invalid input: expected array, received object at names"),
    ):
        result = post(served, PATH, "tools/call", {"name": tool, "arguments": arguments}).json()["result"]
        assert result["content"] == [{"type": "text", "text": f"{REFUSED}{tool}: {words}"}]
        assert result["isError"] is True and "structuredContent" not in result
    absent = {"name": "add_observations", "arguments": {"observations": [{"entityName": "X", "contents": []}]}}
    result = post(served, PATH, "tools/call", absent).json()["result"]
    assert result["content"] == [{"type": "text", "text": "Entity with name X not found"}] and result["isError"]


async def test_fifty_clients_write_at_once_and_fifty_entities_are_there(served: Served) -> None:
    async def tell(number: int) -> None:
        async with connected(served, PATH, mode=BOTH[number % 2]) as client:
            entities = [{**ada(), "name": f"n{number}"}]
            assert not (await client.call_tool("create_entities", {"entities": entities})).is_error

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(tell, number)
    found = post(served, PATH, "tools/call", {"name": "read_graph", "arguments": {}}).json()["result"]
    names = [entity["name"] for entity in found["structuredContent"]["entities"]]
    assert sorted(names) == sorted(f"n{number}" for number in range(50))


@pytest.mark.parametrize("mode", BOTH)
@on_sqlite
async def test_subscribers_of_the_graph_hear_of_each_change(served: Served, mode: str) -> None:
    likes = {"from": "Ada", "to": "tea", "relationType": "likes"}
    about = {"entityName": "Ada"}
    async with hearing(served, mode, None, URI, path=PATH) as (client, hear):
        for tool, arguments in (
            ("create_entities", {"entities": [ada()]}),
            ("create_relations", {"relations": [likes]}),
            ("add_observations", {"observations": [{**about, "contents": ["x"]}]}),
            ("delete_observations", {"deletions": [{**about, "observations": ["x"]}]}),
            ("delete_relations", {"relations": [likes]}),
            ("delete_entities", {"entityNames": ["Ada"]}),
            ("undo", {}),
        ):
            assert not (await client.call_tool(tool, arguments)).is_error
            assert await hear() == URI
        (contents,) = (await client.read_resource(URI)).contents
        assert isinstance(contents, t.TextResourceContents) and contents.mime_type == "application/json"
        assert contents.text == json.dumps({"entities": [ada()], "relations": []}, indent=2)


@pytest.mark.parametrize("mode", BOTH)
async def test_a_clients_configuration_names_another_command_and_all_is_kept(tmp_path: Path, mode: str) -> None:
    async with _on_pipes(tmp_path, mode) as (client, call):
        assert [tool.name for tool in (await client.list_tools()).tools][: len(TOOLS)] == [*TOOLS]
        await call("create_entities", entities=[ada("likes tea")])
        with pytest.raises(MCPError, match="There is no resource"):
            await client.read_resource("memory://other")
    async with _on_pipes(tmp_path, mode) as (client, call):
        assert await call("search_nodes", query="TEA") == {"entities": [ada("likes tea")], "relations": []}
        assert URI in [resource.uri for resource in (await client.list_resources()).resources]


@asynccontextmanager
async def _on_pipes(folder: Path, mode: str) -> AsyncIterator[tuple[Client, Callable[..., Awaitable[Any]]]]:
    """A client of `turnkeeper stdio --world graph`, and what calls a tool there."""
    async with Client(pipes(folder, world="graph"), mode=mode) as client:

        async def call(tool: str, **arguments: Any) -> Any:
            with anyio.fail_after(SECONDS):
                return (await client.call_tool(tool, arguments)).structured_content

        yield client, call
