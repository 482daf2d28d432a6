"""The peer that all is measured against: the MCP SDK's own server, its total in this process's memory."""

from mcp.server import MCPServer

from benchmarks.serving import serve

total = 1


async def add(a: int) -> str:
    """Add a number to the running total."""
    global total
    total += a
    return f"Added {a}, total is now {total}"


async def running_total() -> str:
    """The running total."""
    return str(total)


if __name__ == "__main__":
    server = MCPServer("counter", log_level="WARNING")
    server.add_tool(add)
    server.resource("counter://total")(running_total)
    serve(server.streamable_http_app(json_response=True))
