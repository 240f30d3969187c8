"""The files of the page: small, kept by browsers, typed, from here alone, and what they are made of is named."""

import gzip
import json
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from logship.page.html import FRAME, STATIC, VIEWS, address, asset, assets
from tests.page import browsing
from tests.page.conftest import Served

FIRST_LOAD_LIMIT_BYTES = 60_000
IMPORT = re.compile(r'(?:from\s*|import\()\s*"(\./[^"]+)"')


@pytest.mark.parametrize("view", VIEWS)
def test_what_a_view_loads_first_is_small(view: str) -> None:
    names = ["style.css", *(f"{name}.js" for name in (*FRAME, *VIEWS[view].split()))]
    size = sum(len(assets()[1][name].packed) for name in names)
    print(f"/{view}: {size} bytes in {len(names)} files")
    assert size <= FIRST_LOAD_LIMIT_BYTES


def imported(name: str, lazy: bool = False) -> set[str]:
    """The modules that `name` imports, and what these import; without those that are loaded when they are needed."""
    text = (STATIC / name).read_text(encoding="utf-8")
    found = set()
    for match in IMPORT.finditer(text):
        if lazy or not match[0].startswith("import("):
            found.add((STATIC / name).parent.joinpath(match[1]).resolve().relative_to(STATIC).as_posix())
    return found


@pytest.mark.parametrize("view", VIEWS)
def test_the_head_names_exactly_what_the_view_imports(view: str) -> None:
    names = {f"{name}.js" for name in (*FRAME, *VIEWS[view].split())}
    entry = {"main.js", f"{VIEWS[view].split()[0]}.js"}
    reached, todo = set(entry), set(entry)
    while todo:
        todo = {other for name in todo for other in imported(name)} - reached
        reached |= todo
    assert names == reached


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
    "path", ["/", "/search?q=x", "/tail", "/account", "/panels/latency", "/r/a%2Fb", "/w/host/8000/w1", "/e/x-1"]
)
def test_the_shell_has_no_code_and_allows_none(served: Served, path: str) -> None:
    answer = httpx.get(served.url + path, timeout=20)
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "set-cookie" not in answer.headers
    assert re.findall(r"<script(?![^>]*\bsrc=)", answer.text) == []
    assert re.findall(r"\son\w+=|style=|javascript:", answer.text) == []
    assert all(link.startswith(("/static/", "/plain")) for link in re.findall(r'(?:src|href)="([^"]*)"', answer.text))


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


def test_the_keys_that_are_told_are_the_keys_that_are_shown() -> None:
    told = (Path(__file__).parents[2] / "docs/page.md").read_text(encoding="utf-8")
    shown = re.findall(r'\["([^"\[]+)", "([^"]+)"\]', (STATIC / "keys.js").read_text(encoding="utf-8"))
    rows = [f"| {' '.join(f'`{key}`' for key in keys.split())} | {does} |" for keys, does in shown]
    assert len(rows) > 15
    assert [row for row in rows if row not in told] == []
