"""FastMCP's server in its own environment, its total in this process's memory."""

from fastmcp import FastMCP  # type: ignore[import-not-found]

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
    server = FastMCP("counter")
    server.tool(add)
    server.resource("counter://total")(running_total)
    serve(server.http_app(json_response=True))
