"""The HTML templates in `templates/`. Every value is escaped unless it is markup made by a template."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from logship.page.html.assets import address
from logship.search.units import duration


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"duration": duration, "event_text": event_text}
    environment.globals["address"] = address
    return environment


def render(name: str, **values: Any) -> str:
    """Return the template `name` with these values."""
    return _environment().get_template(name).render(values)


def event_text(value: object, limit: int = 500) -> Markup:
    """Return text of an event as markup: escaped, isolated in its direction, invisible characters as \u2039U+202E\u203a."""
    text = "" if value is None else str(value)[:limit]
    shown = "".join(char if char.isprintable() else f"\u2039U+{ord(char):04X}\u203a" for char in text)
    return Markup("<bdi>{}</bdi>").format(shown)
