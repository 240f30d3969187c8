"""While the store has set damaged files aside, every view says so."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from logship.store.files import read_listing
from tests.page.browsing import Visit
from tests.page.conftest import Shown
from tests.page.story import story


@pytest.fixture
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shown, str]]:
    shown = Shown(tmp_path_factory.mktemp("damaged") / "store", lambda store, now_ns: store.append(story(now_ns, 200)))
    shown.store.seal()
    segment = read_listing(shown.directory).segments[0]
    path = shown.directory / segment.name
    path.write_bytes(path.read_bytes()[:100])
    yield shown, segment.name
    shown.close()


def test_a_banner_names_the_damaged_file_and_what_is_missing(chromium: Any, damaged: tuple[Shown, str]) -> None:
    shown, name = damaged
    assert httpx.get(f"{shown.url}/api/count", timeout=20).status_code == 200
    visit = Visit(chromium, shown.url)
    for path in ("/search", "/panels"):
        page = visit.go(path)
        banner = page.locator(".damage")
        banner.wait_for()
        text = banner.inner_text()
        assert "1 file of the store is damaged. All results lack the" in text
        assert name.split(".")[0] in text
    assert visit.complaints == []
    visit.close()
