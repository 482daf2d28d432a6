"""What the graph offers on the command line: `turnkeeper graph import` and `turnkeeper graph export`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field as Limit

from engine import Refused, Reply, Terminal, Text, command, storable
from worlds.graph.exchange import FORMATS, Format, format_named
from worlds.graph.exporting import exported
from worlds.graph.facts import Kind
from worlds.graph.times import moment, recorded, view_of

T = TypeVar("T")

AnyFormat = Annotated[Format | None, Limit(description="Its format; without, the name or the content says it.")]

_PLURAL = {kind.value: f"{kind}s" for kind in Kind} | {"entity": "entities"}


@command(name="import")
def import_file(
    terminal: Terminal,
    file: Annotated[Path, Limit(description="The file to take in, such as memory.jsonl.")],
    format: AnyFormat = None,
    source: Annotated[str | None, Limit(description="Where it is from; kept with each fact.")] = None,
) -> Reply:
    """Take a graph in from a file, as a whole; what is there already is skipped."""
    taken = terminal.call("import_graph", attached=file, format=format, source=source)
    told = (
        ", ".join(
            f"{count:,} {kind if count == 1 else _PLURAL[kind]}" for kind, count in taken["told"].items() if count
        )
        or "nothing"
    )
    named = storable(str(file))
    lines = [f"{named}, as {taken['format']}: {told} new; {taken['already_there']:,} facts were there already"]
    for problem in taken["problems"]:
        place = "" if problem["line"] is None else f"line {problem['line']}: "
        lines.append(f"not taken: {place}{problem['what']}")
    if taken["more_problems"]:
        lines.append(f"not taken: {taken['more_problems']:,} more")
    return Reply(Text("\n".join(lines)), value=taken)


@command(name="export")
def export_file(
    terminal: Terminal,
    file: Annotated[Path, Limit(description="The file to write, such as memory.jsonl.")],
    format: AnyFormat = None,
    as_of: Annotated[
        str | None, Limit(description="As it was told up to a revision's number, a date or a time.")
    ] = None,
    valid_at: Annotated[str | None, Limit(description="What held at a date or a time; without, now.")] = None,
    force: Annotated[bool, Limit(description="Replace the file if it is there.")] = False,
) -> Reply:
    """Write the graph to a file, however large."""
    chosen = format or format_named(file.name)
    if chosen is None:
        raise Refused(
            "unknown_format", f"{file.name} does not say in which format.", hint=f"Add --format: {', '.join(FORMATS)}."
        )
    then, held = _revision(as_of), _told("valid-at", valid_at, moment)
    size = terminal.view(
        lambda graph: terminal.write(file, exported(view_of(graph, then, held), chosen), replace=force)
    )
    return Reply(
        Text(f"{file}: {size:,} bytes of {chosen}"), value={"file": str(file), "format": chosen.value, "bytes": size}
    )


def _revision(given: str | None) -> int | str | None:
    """What a view is as of: a revision where there are digits only. Raises Refused."""
    return _told("as-of", given, lambda text: recorded(int(text) if text.isdecimal() else text))


def _told(option: str, given: str | None, means: Callable[[str], T]) -> T | None:
    try:
        return None if given is None else means(given)
    except ValueError as wrong:
        raise Refused("no_time", f"--{option}: {wrong}.") from None
