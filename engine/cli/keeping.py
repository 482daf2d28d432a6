"""The command that keeps a copy of everything: backup."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from engine.application import open_store
from engine.cli import output
from engine.cli.inspect import AsJson
from engine.cli.reporting import settings_from
from engine.errors import Refused, StoreError
from engine.settings import Settings

NEEDED = (
    "A restore also needs: Turnkeeper and the worlds' code, at this version or a newer one, and the settings.",
    "Nothing else: docs/operating.md has the steps.",
)


def backup_database(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Write the copy here.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy the whole database, as it is at one moment, while servers run. The copy holds everybody's data."""
    settings = settings_from()
    _check(settings, file, force=force)
    store = open_store(settings)
    try:
        store.backup(file)
    finally:
        store.close()
    size = file.stat().st_size
    if as_json:
        output.print_json({"file": str(file), "bytes": size})
        return
    for line in (f"{file} ({size:,} bytes)", *NEEDED):
        output.stdout().print(Text(line), soft_wrap=True)


def _check(settings: Settings, file: Path, *, force: bool) -> None:
    """Insist on a database to copy, and on a place for the copy that loses nothing. Raises StoreError, Refused."""
    if file.exists() and not force:
        raise Refused("file_exists", f"{file} is there already.", hint="Name another file, or add --force.")
    if settings.is_postgres or settings.sqlite_path.startswith("file:"):
        return
    database = Path(settings.sqlite_path)
    if not database.exists():
        raise StoreError(f"There is no database {database} to back up.", hint="Set TURNKEEPER_DATA_DIR to its folder.")
    companions = [database.with_name(f"{database.name}{end}").resolve() for end in ("", "-wal", "-shm")]
    if file.resolve() in companions or (file.exists() and file.samefile(database)):
        raise Refused("own_file", f"{file} is the database itself.", hint="Name another file.")
