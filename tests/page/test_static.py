"""The files of the page: small, kept by browsers, typed, from here alone, and what they are made of is named."""

import gzip
import json
import re
import subprocess
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from logship.page.html.assets import STATIC, address, asset, assets
from logship.page.html.modules import FRAME, VIEWS, preloaded
from logship.page.html.shell import shell
from tests.page import browsing
from tests.page.conftest import Served

FIRST_LOAD_LIMIT_BYTES = 60_000
# The formatter leaves markup in templates as it is.
LINE_LIMIT = 120


IMPORT = re.compile(r'^(?:import|export)\b[^;"]*\bfrom\s*"(\.[^"]+)"', re.MULTILINE)


def needed(name: str, seen: set[str] | None = None) -> set[str]:
    """A module with all that it imports, directly or not; not what it loads later with `import()`."""
    seen = set() if seen is None else seen
    if name not in seen:
        seen.add(name)
        for source in IMPORT.findall((STATIC / f"{name}.js").read_text(encoding="utf-8")):
            needed((Path(name).parent / source).as_posix().removesuffix(".js"), seen)
    return seen


@pytest.mark.parametrize("view", VIEWS)
def test_what_a_view_loads_first_is_small(view: str) -> None:
    files = ["style.css", *(f"{name}.js" for name in preloaded(view))]
    size = sum(len(assets()[1][name].packed) for name in files)
    print(f"{view or 'overview'}: {size} bytes in {len(files)} files")
    assert size <= FIRST_LOAD_LIMIT_BYTES


def test_the_list_of_what_each_view_loads_is_what_its_modules_import() -> None:
    assert set(FRAME) == needed("main")
    assert {view: set(modules) for view, modules in VIEWS.items()} == {
        view: needed(modules[0]) - set(FRAME) for view, modules in VIEWS.items()
    }


def test_the_browser_fetches_all_modules_of_a_view_at_once_and_nothing_twice(served: Served, chromium: Any) -> None:
    visit = browsing.Visit(chromium, served.url)
    requests = list[str]()
    visit.page.on("request", lambda request: requests.append(request.url))
    visit.go("/search")
    browsing.settled(visit.page)
    scripts = [url.split("/", 5)[5] for url in requests if url.endswith(".js")]
    assert sorted(scripts) == sorted(f"{name}.js" for name in preloaded("search"))
    assert visit.complaints == []
    visit.close()


@pytest.mark.parametrize(
    ("asked", "question"),
    [
        ("", "since_ns=1795275000000000000&until_ns=1795275900000000000&limit=100&order=newest"),
        ("?last=1h&order=oldest", "since_ns=1795272300000000000&until_ns=1795275900000000000&limit=100&order=oldest"),
        (
            "?q=a*+~%22b%22&since=2026-11-21T15:30:00Z&until=2026-11-21T15:30:00.250Z",
            "q=a*+%7E%22b%22&since_ns=1795275000000000000&until_ns=1795275000250000000&limit=100&order=newest",
        ),
    ],
)
def test_a_search_is_asked_for_by_the_head_of_the_page(asked: str, question: str) -> None:
    given = dict(parse_qsl(asked.removeprefix("?")))
    head = unescape(shell("/search", given, 1795275900_000 * 10**6))
    assert f'<link rel="preload" as="fetch" crossorigin="anonymous" href="/api/search?{question}">' in head


@pytest.mark.parametrize(
    "given",
    [
        {"last": "1h30m"},
        {"last": "x"},
        {"since": "now"},
        {"since": "2026-11-21T15:30:00Z"},
        {"since": "2026-13-41T99:30:00Z", "until": "2026-11-21T15:30:00Z"},
    ],
)
def test_a_search_whose_time_only_the_page_understands_is_left_to_it(given: dict[str, str]) -> None:
    assert 'rel="preload"' not in shell("/search", given, 1795275900_000 * 10**6)


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "?last=24h",
        "?q=message:*a~b%26c*&order=oldest",
        "?since=2026-11-21T15:30:00Z&until=2026-11-21T15:30:00.250Z",
        "?q=:",
    ],
)
def test_what_the_head_asked_is_not_asked_again(served: Served, chromium: Any, asked: str) -> None:
    visit = browsing.Visit(chromium, served.url)
    questions = list[str]()
    visit.page.on("request", lambda request: questions.append(request.url))
    visit.go(f"/search{asked}")
    browsing.settled(visit.page)
    assert len([one for one in questions if "/api/search" in one]) == 1
    assert visit.complaints == []
    visit.close()


def test_the_list_is_there_before_its_bars_are_asked_for(served: Served, chromium: Any) -> None:
    visit = browsing.Visit(chromium, served.url)
    visit.go("/search")
    visit.page.wait_for_selector(".row[data-event]")
    browsing.settled(visit.page)
    code = "name => performance.getEntriesByType('resource').find(one => one.name.includes(`/api/${name}`))?.%s"
    listed, barred = (visit.page.evaluate(code % at, name) for at, name in (("responseEnd", "search"), ("startTime", "tally")))
    assert 0 < listed <= barred
    visit.close()


def test_files_are_kept_for_as_long_as_they_are_the_same(served: Served) -> None:
    page = httpx.get(served.url, timeout=20)
    assert page.headers["cache-control"] == "no-store"
    answer = httpx.get(served.url + address("main.js"), timeout=20)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.text == (STATIC / "main.js").read_text(encoding="utf-8")
    old = httpx.get(f"{served.url}/static/0123456789abcdef/main.js", timeout=20)
    assert (old.status_code, old.headers["cache-control"]) == (200, "no-store")


@pytest.mark.parametrize("name", ["..%2fapp.py", "vendor/", "", "vendor/versions.json", "main.js/", "style.css%00.js"])
def test_nothing_but_the_page_is_served(served: Served, name: str) -> None:
    assert httpx.get(f"{served.url}/static/x/{name}", timeout=20).status_code == 404


def test_a_file_is_sent_as_it_is_to_whoever_does_not_unpack() -> None:
    found = asset("x", "main.js", "identity")
    assert found is not None
    assert found[0] == (STATIC / "main.js").read_bytes()
    packed = asset("x", "main.js", "gzip, br")
    assert packed is not None
    assert gzip.decompress(packed[0]) == found[0]


@pytest.mark.parametrize(
    "path",
    ["/", "/search?q=x", "/tail", "/account", "/panels/latency", "/errors", "/patterns", "/r/a%2Fb", "/w/host/8000/w1", "/e/x-1"],
)
def test_the_shell_has_no_code_and_allows_none(served: Served, path: str) -> None:
    answer = httpx.get(served.url + path, timeout=20)
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "set-cookie" not in answer.headers
    assert re.findall(r"<script(?![^>]*\bsrc=)", answer.text) == []
    assert re.findall(r"\son\w+=|style=|javascript:", answer.text) == []
    assert all(
        link.startswith(("/static/", "/plain", "/api/search?")) for link in re.findall(r'(?:src|href)="([^"]*)"', answer.text)
    )


def test_what_was_taken_from_elsewhere_has_its_version_and_its_licence() -> None:
    versions = json.loads((STATIC / "vendor/versions.json").read_text(encoding="utf-8"))
    assert set(versions) == {path.name for path in (STATIC / "vendor").glob("*.js")}
    for one in versions.values():
        assert (STATIC / "vendor" / f"{one['package'].split('@')[0]}.LICENSE").exists()


def test_what_was_taken_from_elsewhere_is_what_npm_has(request: pytest.FixtureRequest) -> None:
    versions = json.loads((STATIC / "vendor/versions.json").read_text(encoding="utf-8"))
    for name, one in versions.items():
        original = (browsing.npm(one["package"], request.config.cache.mkdir("npm")) / one["file"]).read_text(encoding="utf-8")
        expected = re.sub(r"//# sourceMappingURL=.*\n?", "", original).replace('from"preact"', 'from"./preact.js"')
        assert (STATIC / "vendor" / name).read_text(encoding="utf-8").strip() == expected.strip()


def test_types_hold(request: pytest.FixtureRequest) -> None:
    tsc = browsing.npm(browsing.TYPESCRIPT, request.config.cache.mkdir("npm")).parent / ".bin" / "tsc"
    command = [str(tsc), "-p", str(Path(__file__).parent / "jsconfig.json")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", sorted(path.name for path in STATIC.glob("*.js")))
def test_no_line_of_a_script_is_too_long_to_read(name: str) -> None:
    lines = (STATIC / name).read_text(encoding="utf-8").splitlines()
    assert [number for number, line in enumerate(lines, 1) if len(line) > LINE_LIMIT] == []


def test_the_keys_that_are_told_are_the_keys_that_are_shown() -> None:
    told = (Path(__file__).parents[2] / "docs/page.md").read_text(encoding="utf-8")
    shown = re.findall(r'\["([^"\[]+)", "([^"]+)"\]', (STATIC / "keys.js").read_text(encoding="utf-8"))
    rows = [f"| {' '.join(f'`{key}`' for key in keys.split())} | {does} |" for keys, does in shown]
    assert len(rows) > 15
    assert [row for row in rows if row not in told] == []
