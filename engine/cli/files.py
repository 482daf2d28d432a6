"""Commands about files: export, import, and sql, which asks a copy. They act as the operator."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from engine.application import opened
from engine.cli import output, reading
from engine.cli.inspect import AsJson, Handle
from engine.cli.reporting import settings_from
from engine.files.queries import ROWS, Answer
from engine.files.writing import Exported
from engine.types import OPERATOR, Json


def export_session(
    handle: Handle,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write, such as game.db.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a session and its history into one SQLite file, to keep, look at or import elsewhere."""
    with opened(settings_from()) as dispatcher:
        record = reading.session_named(dispatcher, handle)
        exported = dispatcher.export(OPERATOR, record.handle, file, replace=force)
    if as_json:
        output.print_json(_exported_json(exported))
    else:
        output.stdout().print(Text(_exported_text(exported)), soft_wrap=True)


def import_session(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that export wrote.")],
    same_handle: Annotated[
        bool,
        typer.Option(
            "--same-handle", help="Under its old handle; if that session is here, it becomes the file's, by one change."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a session back from a file, as a new session of yours."""
    with opened(settings_from()) as dispatcher:
        outcome = dispatcher.import_file(OPERATOR, file, same_handle=same_handle)
    if as_json:
        output.print_json(output.outcome_json(outcome))
    else:
        output.print_outcome(output.stdout(), outcome)


def query_session(
    handle: Handle,
    statement: Annotated[str, typer.Argument(metavar="SELECT", help="One statement that reads.")],
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Rows at most.")] = ROWS,
    as_json: AsJson = False,
) -> None:
    """Ask a copy of one session in SQL: its tables, journal, session and person."""
    with opened(settings_from()) as dispatcher:
        record = reading.session_named(dispatcher, handle)
        answer = dispatcher.query(OPERATOR, record.handle, statement, limit=limit)
    if as_json:
        rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        output.print_json({"columns": list(answer.columns), "rows": rows, "cut": answer.cut})
    else:
        _print_answer(output.stdout(), answer)


def _exported_json(exported: Exported) -> Json:
    return {
        "file": str(exported.path),
        "session": exported.session,
        "world": exported.world,
        "revision": exported.revision,
        "entries": exported.entries,
        "rows": exported.rows,
        "bytes": exported.bytes,
    }


def _exported_text(exported: Exported) -> str:
    return (
        f"{exported.path}: {exported.session} at revision {exported.revision},"
        f" {exported.entries:,} journal entries, {exported.rows:,} rows, {exported.bytes:,} bytes"
    )


def _print_answer(console: Console, answer: Answer) -> None:
    made = output.table(*map(output.safe, answer.columns))
    for row in answer.rows:
        made.add_row(*(Text(output.safe(value) if isinstance(value, str) else output.compact(value)) for value in row))
    console.print(made)
    if answer.cut:
        console.print(Text(f"Only the first {len(answer.rows):,} rows; --limit gives more.", "yellow"))
