"""Copies of an SQLite database: of one moment, checked, and put in place whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from engine.errors import StoreError

KEPT = 3
"""Copies from before an upgrade that stay beside the database."""


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """An empty file that only its owner may read; at the end of the block it takes the target's place, on disk.

    Raises StoreError.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
        os.close(handle)
        try:
            yield Path(name)
            _sync(Path(name))
            os.replace(name, target)
            _sync(target.parent)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"The copy {target} cannot be written: {error.strerror}.", hint="Name a file in a folder with room."
        ) from error


def copy_sqlite(sqlite: ModuleType, path: str, target: Path) -> None:
    """Write a database to a file, as it is at one moment, whoever writes to it meanwhile. Raises StoreError."""
    with written_whole(target) as file:
        try:
            with closing(sqlite.connect(path, uri=path.startswith("file:"), isolation_level=None)) as source:
                source.execute("vacuum into ?", (str(file),))
            with closing(sqlite.connect(str(file), isolation_level=None)) as copy:
                _insist_on_soundness(copy, path)
        except sqlite.Error as error:
            raise StoreError(
                f"The database {path} cannot be copied to {target}: {error}.", hint="Nothing was changed."
            ) from error


def forget_old(file: Path, prefix: str) -> None:
    """Leave the newest `KEPT` of the copies beside a database whose names begin so and end with their time."""
    copies = sorted(file.parent.glob(f"{file.name}.{prefix}*Z"), key=lambda copy: copy.name.rpartition("-")[2])
    for copy in copies[:-KEPT]:
        copy.unlink(missing_ok=True)


def _insist_on_soundness(copy: Any, path: str) -> None:
    found = copy.execute("pragma integrity_check").fetchone()[0]
    if found != "ok":
        raise StoreError(f"The database {path} is damaged: {found}.", hint="Restore it from an earlier backup.")
    if copy.execute("select 1 from sqlite_master where type = 'table'").fetchone() is None:
        raise StoreError(f"The database {path} is empty: there is nothing to back up.", hint="Name the right one.")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
