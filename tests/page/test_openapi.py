"""The document is true: the same addresses, the same parameters, and answers of the shape that it gives."""

import re
from typing import Any

import httpx
import jsonschema_rs
import pytest

from logship.page.api.endpoints import NAMES
from logship.page.api.openapi import PARAMETERS, PATHS, document
from logship.page.api.responses import as_json
from logship.page.app import app
from tests.page.conftest import Served, event


@pytest.fixture
def told(served: Served) -> dict[str, Any]:
    answer: dict[str, Any] = httpx.get(f"{served.url}/api/openapi.json", timeout=20).json()
    return answer


def test_every_address_is_in_the_document_and_no_other(served: Served) -> None:
    routes = {str(route.path).replace(":path}", "}") for route in app(served.reader).routes}  # type: ignore[attr-defined]
    of_programs = {path for path in routes if path.startswith(("/api/", "/metrics", "/healthz", "/readyz"))}
    assert set(PATHS) == of_programs


def test_every_parameter_is_in_the_document_and_no_other(told: dict[str, Any]) -> None:
    for path, one in told["paths"].items():
        in_query = [parameter["name"] for parameter in one["get"]["parameters"] if parameter["in"] == "query"]
        assert tuple(in_query) == NAMES.get(path, ())
        in_path = [parameter["name"] for parameter in one["get"]["parameters"] if parameter["in"] == "path"]
        assert in_path == re.findall(r"{(\w+)}", path)
    assert set(PARAMETERS) == {name for names in NAMES.values() for name in names} | {"id"}


def test_it_is_a_document_of_openapi(told: dict[str, Any]) -> None:
    assert told["openapi"] == "3.1.0"
    assert len({one["get"]["operationId"] for one in told["paths"].values()}) == len(PATHS)
    assert told == httpx.Response(200, content=as_json(document(told["info"]["version"], NAMES))).json()


def test_an_answer_with_hints_has_the_shape_it_gives(served: Served, told: dict[str, Any]) -> None:
    for path in ("/api/search", "/api/tally", "/api/verify"):
        answer = httpx.get(f"{served.url}{path}?q=basket: 7", timeout=20)
        assert answer.json()["hints"]
        schema = told["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema_rs.validate({**schema, "components": told["components"]}, answer.json())


@pytest.mark.parametrize("path", [path for path, one in PATHS.items() if one.media_type == "application/json"])
def test_answers_have_the_shape_it_gives(served: Served, told: dict[str, Any], path: str) -> None:
    more = {"/api/top": "?field=http.response.status_code", "/api/stats": "?field=event.duration"}
    more |= {"/api/context": "?id=request-3", "/api/overview": "?every_ns=1000000000&latency_every_ns=1000000000"}
    served.store.append([event(6, served.now_ns, **{"http.request.method": "GET", "url.path": "/orders/6"})])
    answer = httpx.get(served.url + path.replace("{id}", "request-6") + more.get(path, ""), timeout=20)
    assert answer.status_code == 200, answer.text
    schema = told["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema_rs.validate({**schema, "components": told["components"]}, answer.json())


def test_wrong_questions_have_the_shape_it_gives(served: Served, told: dict[str, Any]) -> None:
    answer = httpx.get(f"{served.url}/api/count?q=(", timeout=20)
    schema = told["components"]["schemas"]["Error"]
    assert answer.status_code == 400
    jsonschema_rs.validate(schema, answer.json())


def test_what_streams_is_of_the_media_it_says(served: Served) -> None:
    for path in ("/api/export", "/api/tail"):
        with httpx.stream("GET", served.url + path, timeout=20) as stream:
            assert stream.headers["content-type"].startswith(PATHS[path].media_type)
