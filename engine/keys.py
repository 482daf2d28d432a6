"""The installation's own keys: what a stolen database lacks. From the environment, or a file beside the data.

The first key seals what is new; the others still open what they sealed, so that
a new one can be put in front without anybody noticing.
"""

import os
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import StoreError
from engine.sealing import sealed, unsealed

LEAST = 32
"""Characters of a key: random ones of 6 bits each, say."""
FILE = "keys"


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys, the present one first."""

    all: tuple[str, ...] = field(repr=False)

    def sealed(self, text: str) -> str:
        """A text that only this installation can read."""
        return sealed(text, self.all[0])

    def opened(self, text: str) -> str:
        """The text that one of the keys sealed. Raises StoreError for another."""
        for key in self.all:
            if (found := unsealed(text, key)) is not None:
                return found
        raise StoreError(
            "The database's secrets were sealed under a key that is not here.",
            hint=f"Put the key back: into TURNKEEPER_SECRETS, or into the file {FILE} in TURNKEEPER_DATA_DIR."
            " `turnkeeper keys forget` goes on without.",
        )


def keys_of(given: str, folder: Path) -> Keys:
    """The keys that were given, else those of the file in a folder, which is made if need be. Raises StoreError."""
    return _checked(given.replace(",", " ").split() if given.strip() else _lines(folder / FILE))


def rotate(folder: Path) -> int:
    """Put a new key in front of a file's others; how many there are now. Raises StoreError."""
    path = folder / FILE
    lines = [secrets.token_urlsafe(32), *_lines(path)]
    _replace(path, lines)
    return len(lines)


def drop_old(folder: Path) -> int:
    """Keep a file's first key alone; how many were dropped. Raises StoreError."""
    path = folder / FILE
    lines = _lines(path)
    _replace(path, lines[:1])
    return len(lines) - 1


def _lines(path: Path) -> list[str]:
    try:
        folder = path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(path)
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise StoreError(f"{path} can be read by others.", hint=f"Let its owner alone: chmod 600 {path}")
        return path.read_text("ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"The keys in {path} cannot be read: {error}.", hint="Set TURNKEEPER_SECRETS, or let the server read them."
        ) from error


def _make(path: Path) -> None:
    """Make a file with one key, unless it is there; of two processes that start at once, one does.

    It is written aside and then linked, so that nobody sees half of it.
    """
    if path.exists():
        return
    aside = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    _write(aside, [secrets.token_urlsafe(32)])
    try:
        os.link(aside, path)
    except FileExistsError:
        pass  # the other process was faster, and its key is the one
    finally:
        aside.unlink()


def _replace(path: Path, lines: Sequence[str]) -> None:
    aside = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        _write(aside, lines)
        aside.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from error


def _write(path: Path, lines: Sequence[str]) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.writelines(f"{line}\n" for line in lines)
        file.flush()
        os.fsync(file.fileno())


def _checked(keys: list[str]) -> Keys:
    if not keys or any(len(key) < LEAST for key in keys):
        raise StoreError(
            f"A key has at least {LEAST} characters.",
            hint="Make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )
    return Keys(tuple(keys))
