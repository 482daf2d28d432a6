"""A real browser for tests: Chromium without a screen, and the person in front of it."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from engine.application import opened
from engine.auth.people import accounts, passwords
from engine.settings import Settings
from tests.serving import SECONDS, Served, serving

CHROMIUM = shutil.which("chromium") or ""
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
NAME, PASSWORD = "ada", "correct horse battery"
_AUTHORIZE = re.compile(r"https?://[^\s\"\\]+/authorize\?[^\s\"\\]+")


@contextmanager
def guarded(folder: Path, worlds: Path | None = None) -> Iterator[Served]:
    """A guarded server in which ada has an account."""
    with serving(folder, worlds, auth="oauth") as served:
        settings = Settings(auth="oauth", data_dir=folder, worlds_path=str(worlds or ""))
        with opened(settings) as dispatcher:
            dispatcher.store.write(lambda tx: accounts.create(tx, NAME, passwords.hashed(PASSWORD)))
        yield served


needs_chromium = pytest.mark.skipif(
    not CHROMIUM and not os.environ.get("TURNKEEPER_REQUIRE_TOOLS"), reason="there is no chromium"
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of its own, without a screen."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


def consent(address: str) -> None:
    """Follow a client's link in a browser as a person would: sign in, look at what is asked, allow it."""
    with chromium() as browser:
        page = browser.new_page()
        page.goto(address)
        sign_in(page)
        page.get_by_role("button", name="Allow").click()
        page.wait_for_url("**/callback?**")


def sign_in(page: Page) -> None:
    """Fill in the page that asks who somebody is."""
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def asked_for(log: Path) -> str:
    """The address that a client without a browser tells its person to open, once its log has it."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if found := _AUTHORIZE.search(log.read_text(errors="replace")):
            return found.group()
        time.sleep(0.05)
    raise AssertionError(f"the client asked for nobody's consent:\n{log.read_text(errors='replace')}")
