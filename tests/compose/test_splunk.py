"""Splunk's saved searches: one for each view, and each asks what the view asks. No Splunk runs here."""

import configparser
import re
from dataclasses import replace

import pytest

from compose.generate import BASE, search
from compose.lucene import condition
from logship.event.fields import BY_NAME
from logship.search import kql
from logship.search.views import VIEWS, View
from tests.compose.stack import ROOT

APP = ROOT / "compose/splunk/logship"


def stanzas(name: str) -> configparser.ConfigParser:
    """A file of the app, as Splunk reads it: names of settings with their case, no interpolation."""
    found = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",), strict=True)
    found.read_string((APP / "default" / name).read_text(encoding="utf-8"))
    return found


def as_kql(spl: str) -> str:
    """The conditions of a search in our words: they differ in `=` and in letters' case."""
    text = re.sub(r"\b(AND|OR|NOT)\b", lambda word: word[0].lower(), spl)
    return re.sub(r"([\w.]+)(>=|<=|>|<|=)", lambda one: f"{one[1]}: " if one[2] == "=" else f"{one[1]} {one[2]} ", text)


def plain(node: kql.Node | None) -> object:
    """A question without what makes no difference: quotes, and `and` within `and`."""
    match node:
        case kql.Is(name, kql.Text() as value):
            return kql.Is(name, replace(value, quoted=True))
        case kql.And(parts):
            flat = [inner for part in map(plain, parts) for inner in (part[1:] if isinstance(part, tuple) else [part])]
            return ("and", *flat)
        case kql.Or(parts):
            return frozenset(map(plain, parts))
        case kql.Not(part):
            return ("not", plain(part))
    return node


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_saved_search_asks_what_its_view_asks(view: View) -> None:
    told = stanzas("savedsearches.conf")[f"logship: {view.title}"]
    assert told["description"] == f"{view.sentence} Unit: {view.unit}."
    assert told["search"] == search(view)
    base, *steps = told["search"].split(" | ")
    assert base.startswith(BASE + " ")
    assert plain(kql.parse(as_kql(base.removeprefix(BASE + " ")))) == plain(condition(view, "ID"))
    named = {word for step in steps for word in re.findall(r"\b[a-z]\w*(?:\.\w+)+", step)}
    assert named <= BY_NAME.keys()
    for field in (view.split, view.and_split, view.number or None, view.greatest or None, *view.columns):
        assert field in (None, "@timestamp", "message") or field in named, field


def test_every_saved_search_is_of_a_view() -> None:
    assert stanzas("savedsearches.conf").sections() == [f"logship: {view.title}" for view in VIEWS]


def test_the_source_type_is_the_one_that_fluent_bit_gives() -> None:
    given = re.search(
        r"event_sourcetype: (\S+)", (ROOT / "pipelines/fluent-bit/logship.yaml").read_text(encoding="utf-8")
    )
    assert given is not None
    assert stanzas("props.conf").sections() == [given[1]]
    assert f'sourcetype="{given[1]}"' in stanzas("macros.conf")["logship_events"]["definition"]
    assert stanzas("macros.conf").sections() == [BASE.strip("`")]


def test_names_are_taken_out_of_json_as_they_are() -> None:
    assert stanzas("props.conf")["logship:events"]["KV_MODE"] == "json"
    assert all(
        "." not in name or name.replace(".", "").replace("_", "").isalnum() for name in BY_NAME if name[0] != "@"
    )
