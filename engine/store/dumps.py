"""Dumps of a PostgreSQL database, by the `pg_dump` that comes with it."""

import os
import shutil
import subprocess
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from engine.errors import StoreError
from engine.store.copies import written_whole

COMMAND = "pg_dump --format=custom --file={file} <the database's URL>"


def dump(url: str, target: Path) -> None:
    """Write a database to a file that `pg_restore` reads; its password is never an argument. Raises StoreError."""
    program = shutil.which("pg_dump")
    if program is None:
        raise StoreError(
            "A backup of PostgreSQL is made by pg_dump, which is not on the PATH.",
            hint=f"Install PostgreSQL's client programs, or run elsewhere: {COMMAND.format(file=target)}",
        )
    given = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    secret = {"PGPASSWORD": given.pop("password")} if "password" in given else {}
    with written_whole(target) as file:
        command = [program, "--format=custom", f"--file={file}", f"--dbname={make_conninfo('', **given)}"]
        done = subprocess.run(
            command, env=os.environ | secret, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode:
            said = " ".join(done.stderr.split()) or f"it ended with {done.returncode}"
            raise StoreError(f"pg_dump failed: {said}.", hint="Its version must not be older than the server's.")
