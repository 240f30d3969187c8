"""A real browser for tests: Debian's Chromium driven by Playwright, and what npm offers beside it.

What is missing is a visible skip with a sentence, never a failure: neither belongs to logship itself."""

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import needs

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed; make env installs it")

ARGUMENTS = (
    "--no-sandbox --headless --disable-gpu --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
).split()
# Two cores that others use too: an answer may take long, and waiting ends when it is there.
PATIENCE_MS = 45_000
# Development tools, by name and version.
PINNED = json.loads((Path(__file__).parent / "package.json").read_text(encoding="utf-8"))["devDependencies"]
AXE, TYPESCRIPT = (f"{name}@{PINNED[name]}" for name in ("axe-core", "typescript"))


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Yield a browser with a profile of its own; skip when there is none."""
    path = _executable()
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


def _executable() -> str:
    found = shutil.which("chromium")
    may_install = os.environ.get("LOGSHIP_INSTALL") == "1" or os.environ.get("CI") == "true"
    if found is None and may_install and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (["apt-get", "update"], ["apt-get", "install", "-y", "chromium"]):
            subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
        found = shutil.which("chromium")
    if found is None:
        needs.lacks("chromium", "there is no chromium on the PATH; install it, or run as root with LOGSHIP_INSTALL=1")
    return found


def npm(package: str, keep: Path) -> Path:
    """Return the folder of a package from npm, fetched once into `keep`; skip when that cannot be done."""
    name, _, version = package.rpartition("@")
    folder = keep / version / "node_modules" / name
    if folder.exists():
        return folder
    if shutil.which("npm") is None:
        needs.lacks("npm", f"npm is not installed, so {package} cannot be fetched")
    command = ["npm", "install", "--silent", "--no-save", "--no-fund", "--no-audit", "--prefix", str(keep / version), package]
    done = subprocess.run(command, check=False, capture_output=True, timeout=100)
    if done.returncode or not folder.exists():
        needs.lacks("npm", f"npm could not fetch {package}")
    return folder


class Visit:
    """One visitor: a page, what its console said, which addresses it asked for."""

    def __init__(self, browser: Any, url: str, **context: Any) -> None:
        self.url, self.asked, self.complaints = url, set[str](), list[str]()
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"} | context)
        self.context.set_default_timeout(PATIENCE_MS)
        self.page = self.context.new_page()
        self.page.on("request", lambda request: self.asked.add(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._heard)

    def _heard(self, message: Any) -> None:
        # The status of an answer is the interface's word, and shown; everything else is a mistake of the page.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def go(self, path: str) -> Any:
        """Go to an address of the page and return the page, once its view is there."""
        self.page.goto(self.url + path)
        self.page.wait_for_selector("main h1, main .head, main .notice", state="attached")
        return self.page

    def close(self) -> None:
        self.context.close()


def wait(page: Any, selector: str, text: str | re.Pattern[str] = "") -> Any:
    """The first element that is there and has the text."""
    found = page.locator(selector, has_text=text) if text else page.locator(selector)
    found.first.wait_for()
    return found.first


def settled(page: Any) -> None:
    """Wait until the page asks for nothing any more."""
    page.wait_for_load_state("networkidle")


def until(page: Any, expression: str) -> None:
    """Wait until the expression holds. Playwright's own wait evaluates text in the page, which our policy forbids."""
    left = PATIENCE_MS
    while not page.evaluate(expression):
        assert left > 0, f"in {PATIENCE_MS} ms it never came true that {expression}"
        page.wait_for_timeout(50)
        left -= 50
