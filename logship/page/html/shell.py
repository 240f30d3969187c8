"""The HTML of every view: a head that names the files of the view. It holds no data and no code.

`static/main.js` queries the API and draws the view. Without JavaScript the browser loads `/plain`."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from logship.page.html.assets import BUNDLE, address, has_bundle
from logship.page.html.modules import preloaded
from logship.page.html.templates import render
from logship.search.kql import equal, text_of

# Scripts and styles from the page's own address only, none inline; no text can become markup or code (trusted types).
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
# The addresses of views, as routes.
ROUTES: Final = (
    "/", "/search", "/tail", "/account", "/panels", "/panels/{name}", "/r/{id:path}", "/w/{id:path}", "/e/{id:path}", "/i",
    "/i/{id:path}", "/errors", "/patterns",
)  # fmt: skip
# The field whose value stands in the address of a view.
ID_FIELDS: Final = {"r": "http.request.id", "w": "service.node.name", "e": "event.id"}

# Times as the page writes them into addresses. All other forms are left to the page.
_EXACT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", re.ASCII)
_LAST = re.compile(r"(\d{1,4})([smhd])", re.ASCII)
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def shell(path: str, given: Mapping[str, str], now_ns: int) -> str:
    """Return the HTML for the view at `path` with the parameters `given`.

    For a search the head preloads its first API request, so that the result arrives while scripts are still loading."""
    view, _, rest = path.removeprefix("/").partition("/")
    now_ms = now_ns // 10**6
    return render(
        "shell.html",
        plain="/plain?" + urlencode(_plain_params(view, rest, given)),
        script=address(BUNDLE if has_bundle() else "main.js"),
        modules=[] if has_bundle() else [address(f"{name}.js") for name in preloaded(view)],
        now_ms=now_ms,
        first_request=_first_request(given, now_ms) if view == "search" else "",
    )


def _first_request(given: Mapping[str, str], now_ms: int) -> str:
    """Return the API request that `static/search.js` makes first, character by character; "" if that is not certain."""
    window = _window_ms(given, now_ms)
    if window is None:
        return ""
    params = {"q": given["q"]} if given.get("q") else {}
    params |= {"since_ns": f"{window[0]}000000", "until_ns": f"{window[1]}000000"}
    params |= {"service": given["service"]} if given.get("service") else {}
    params |= {"limit": "100", "order": "oldest" if given.get("order") == "oldest" else "newest"}
    # As URLSearchParams in a browser writes them.
    return "/api/search?" + urlencode(params, safe="*").replace("~", "%7E")


def _window_ms(given: Mapping[str, str], now_ms: int) -> tuple[int, int] | None:
    since, until = given.get("since", ""), given.get("until", "")
    last = _LAST.fullmatch(given.get("last") or "15m")
    try:
        if _EXACT.fullmatch(since) and _EXACT.fullmatch(until):
            window = _ms(since), _ms(until)
        elif not since and not until and last:
            window = now_ms - int(last[1]) * _UNIT_MS[last[2]], now_ms
        else:
            return None
    except ValueError:  # such as the 31st of February
        return None
    return window if window[0] < window[1] else None


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _plain_params(view: str, rest: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of the page without JavaScript that shows what the view would show."""
    params = {name: given[name] for name in ("q", "last", "since", "until") if given.get(name)}
    if view in ID_FIELDS and rest:
        params |= {"q": text_of(equal(ID_FIELDS[view], rest))} | ({} if "since" in params else {"last": "30d"})
    return params
