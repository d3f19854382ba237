"""A real browser for benchmarks, signed in to a product. What is missing is said in one sentence."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vms.bench.fleet import PASSWORD_OF_ADMIN

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Root may not use Chromium's sandbox; without a graphics card it would try several before it draws by itself.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def path() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise SystemExit(
            "This benchmark drives a browser with Playwright: pip install -r requirements-dev.txt"
        ) from None
    found = path()
    if not found:
        raise SystemExit("There is no Chromium: install it (Debian: apt install chromium), or name one with CHROMIUM=…")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        except Error as error:
            raise SystemExit(f"{found} does not start: {error.message.splitlines()[0]}") from error
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def signed_in(browser: Browser, url: str, width: int = 1920, height: int = 1080) -> Iterator[Page]:
    """A page of the product's."""
    context = browser.new_context(viewport={"width": width, "height": height})
    try:
        page = context.new_page()
        page.goto(f"{url}/")
        page.fill('input[name="username"]', "admin")
        page.fill('input[name="password"]', PASSWORD_OF_ADMIN)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{url}/")
        yield page
    finally:
        context.close()
