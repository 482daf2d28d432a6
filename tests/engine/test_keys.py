"""The installation's keys: made once, for their owner alone, and changed without anybody noticing."""

import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine import keys
from engine.errors import StoreError
from engine.keys import Keys, keys_of
from engine.store.stores import Store

OLD, NEW = "o" * 43, "n" * 43


def test_file_is_made_once_for_its_owner_alone_even_by_many_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: keys_of("", folder).all, range(16)))
    assert len(found) == 1 and len(found.pop()[0]) >= keys.LEAST
    assert stat.S_IMODE((folder / keys.FILE).stat().st_mode) == 0o600
    assert os.listdir(folder) == [keys.FILE]


def test_file_that_others_may_read_is_refused_with_the_remedy(tmp_path: Path) -> None:
    keys_of("", tmp_path)
    (tmp_path / keys.FILE).chmod(0o640)
    with pytest.raises(StoreError, match="can be read by others") as refused:
        keys_of("", tmp_path)
    assert "chmod 600" in str(refused.value.hint)


def test_environment_goes_before_the_file(tmp_path: Path) -> None:
    assert keys_of(f"{NEW}, {OLD}", tmp_path).all == (NEW, OLD)
    assert not (tmp_path / keys.FILE).exists()
    with pytest.raises(StoreError, match="at least 32 characters"):
        keys_of("short", tmp_path)


def test_keys_are_not_shown() -> None:
    assert OLD not in repr(Keys((OLD,)))


def test_rotating_puts_a_new_one_in_front_and_dropping_leaves_it_alone(tmp_path: Path) -> None:
    (first,) = keys_of("", tmp_path).all
    assert keys.rotate(tmp_path) == 2
    new, old = keys_of("", tmp_path).all
    assert old == first != new
    assert keys.drop_old(tmp_path) == 1 and keys_of("", tmp_path).all == (new,)


def test_secret_is_sealed_and_goes_on_across_a_change_of_keys(store_of: Callable[..., Store]) -> None:
    store = store_of()
    plain = store.write(lambda tx: tx.secret("x"))

    def kept() -> str:
        return str(store.read(lambda tx: tx._execute("select value from secret where name = ?", ("x",)).fetchone()[0]))

    assert kept() == plain
    for known in ((OLD,), (NEW, OLD)):
        store.keys = Keys(known)
        assert store.write(lambda tx: tx.secret("x")) == plain and plain not in kept()
    store.write(lambda tx: tx.seal_anew())
    store.keys = Keys((NEW,))
    assert store.write(lambda tx: tx.secret("x")) == plain
    store.keys = Keys((OLD,))
    with pytest.raises(StoreError, match="sealed under a key that is not here"):
        store.write(lambda tx: tx.secret("x", lasting=True))
    assert store.write(lambda tx: tx.secret("x")) != plain


def test_lasting_secret_without_its_key_is_forgotten_only_when_told_to(store_of: Callable[..., Store]) -> None:
    store = store_of()
    store.keys = Keys((OLD,))
    plain = store.write(lambda tx: tx.secret("x", lasting=True))
    store.keys = Keys((NEW,))
    store.write(lambda tx: tx.forget_secrets())
    assert store.write(lambda tx: tx.secret("x", lasting=True)) != plain
