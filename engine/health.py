"""Whether a database is as this process needs it: reachable, and its tables neither behind nor ahead of the code."""

from collections.abc import Iterable

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from engine.definition import Definition
from engine.errors import StoreError
from engine.migrate import CORE_VERSIONS, config, current, version_table
from engine.models import table_of
from engine.store.stores import Store


class Health:
    """Looks after a store for a process; what the code needs is found out once, so that looking is cheap."""

    def __init__(self, store: Store, worlds: Iterable[Definition]) -> None:
        worlds = tuple(worlds)
        self._store = store
        self._needed = {"core": (CORE_VERSIONS, ScriptDirectory.from_config(config()))}
        for world in worlds:
            if world.migrations is not None:
                scripts = ScriptDirectory.from_config(config(None, world))
                self._needed[f"world {world.name}"] = (version_table(world), scripts)
        self._tables = [table_of(row) for world in worlds if world.migrations is None for row in world.rows]

    def problem(self) -> str | None:
        """What is wrong, or None."""
        try:
            return self._store.read(lambda transaction: self._problem(transaction.db.connection()))
        except StoreError as error:
            return str(error)

    def _problem(self, connection: Connection) -> str | None:
        for name, (version, scripts) in self._needed.items():
            versions = set(current(connection, version))
            if versions - {revision.revision for revision in scripts.walk_revisions()}:
                return f"The database is ahead of this process: {name} is at {', '.join(sorted(versions))}."
            if versions != set(scripts.get_heads()):
                at = ", ".join(sorted(versions)) or "nothing"
                return f"The database is behind this process: {name} is at {at}. Run `turnkeeper migrate`."
        found = inspect(connection)
        there = set(found.get_table_names()) if self._tables else set()
        for table in self._tables:
            kept = {column["name"] for column in found.get_columns(table.name)} if table.name in there else set()
            if missing := {column.name for column in table.columns} - kept:
                lacks = ", ".join(sorted(missing))
                return f"The database is behind this process: {table.name} lacks {lacks}. Run `turnkeeper migrate`."
        return None
