"""Runs Alembic: for the engine on a connection it hands over, or from the command line on a URL."""

import os

from alembic import context
from sqlalchemy import Connection, create_engine
from sqlmodel import SQLModel

from engine.migrate import CORE_VERSIONS, types_differ
from engine.store.tables import CORE


def run(connection: Connection) -> None:
    """Migrate, or compare, what the settings name."""
    tables = context.config.attributes.get("tables", CORE)
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        version_table=context.config.attributes.get("version_table", CORE_VERSIONS),
        include_object=lambda thing, name, kind, *_: kind != "table" or name in tables,
        render_as_batch=True,
        compare_type=types_differ,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with create_engine(os.environ["TURNKEEPER_DATABASE_URL"]).begin() as opened:
        run(opened)
