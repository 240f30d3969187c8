"""The overview shows the capacity of each service when its panel is opened."""

from typing import Any

from tests.page.browsing import Visit
from tests.page.conftest import Shown


def test_the_panel_is_computed_when_it_is_opened(chromium: Any, shown: Shown) -> None:
    visit = Visit(chromium, shown.url)
    page = visit.go("/")
    panel = page.locator("details", has_text="Capacity: what the workers can carry")
    panel.wait_for()
    assert panel.locator("table").count() == 0
    panel.locator("summary").click()
    panel.locator("table").first.wait_for()
    text = panel.inner_text()
    for name in ("peak rate", "maximum rate", "limited by", "workers needed"):
        assert name in text
    assert "workers alive" in text or "worker alive" in text
    assert visit.complaints == []
    visit.close()
