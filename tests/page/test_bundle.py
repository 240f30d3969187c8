"""The bundle of a released wheel: one file of scripts with which every view works."""

import gzip
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hatch_build
from tests import needs
from tests.page import browsing
from tests.page.conftest import Shown
from tests.page.test_static import FIRST_LOAD_LIMIT_BYTES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    if shutil.which("npm") is None:
        needs.lacks("npm", "npm is not installed, so the scripts of the page cannot be bundled")
    folder = tmp_path_factory.mktemp("bundle")
    try:
        hatch_build.bundle(ROOT, folder / "tools", folder / "bundle.js")
    except subprocess.CalledProcessError as error:
        needs.lacks("npm", f"npm could not install the bundler: {error}")
    return (folder / "bundle.js").read_text(encoding="utf-8")


@pytest.fixture
def bundled(chromium: Any, shown: Shown, bundle: str) -> Iterator[browsing.Visit]:
    """A visit in which the bundle takes the place of main.js, and all other scripts are missing."""
    visit = browsing.Visit(chromium, shown.url)
    visit.context.route("**/static/**/*.js", lambda route: route.abort())
    script = {"body": bundle, "content_type": "text/javascript; charset=utf-8"}
    visit.context.route("**/static/*/main.js", lambda route: route.fulfill(**script))
    yield visit
    visit.close()


def test_the_bundle_is_small(bundle: str) -> None:
    style = (ROOT / hatch_build.STATIC / "style.css").read_bytes()
    assert len(gzip.compress(bundle.encode())) + len(gzip.compress(style)) <= FIRST_LOAD_LIMIT_BYTES


def test_every_view_works_with_the_bundle_alone(bundled: browsing.Visit) -> None:
    for path in ("/", "/search", "/tail", "/panels", "/errors", "/patterns", "/account", "/w/host-7/8000/w1"):
        page = bundled.go(path)
        assert page.locator("main").inner_text()
    assert bundled.complaints == []
