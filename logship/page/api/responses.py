"""JSON responses of the API, and the response for each kind of error."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from logship.errors import KqlError, QuestionError, SourceError
from logship.page.api import openapi
from logship.page.api.queries import NotFound

_logger = logging.getLogger("logship.page")


def as_json(value: object) -> bytes:
    """Return `value` as JSON; dataclasses and named tuples become objects."""
    return orjson.dumps(value, default=_named_tuple, option=orjson.OPT_NON_STR_KEYS)


def _named_tuple(value: object) -> object:
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()
    raise TypeError(type(value).__name__)


def json_response(value: object, status: int = 200) -> Response:
    """Return a response with `value` as JSON."""
    return Response(as_json(value), status, media_type="application/json")


def error_response(message: str, status: int) -> Response:
    """Return a response with {"error": message}."""
    return json_response({"error": message}, status)


async def _invalid_query(request: Request, error: Exception) -> Response:
    body: dict[str, object] = {"error": str(error)}
    if isinstance(error, KqlError):
        body |= {"at": error.at, "expected": error.expected}
    return json_response(body, 400)


async def _source_failed(request: Request, error: Exception) -> Response:
    return error_response(str(error), 503)


async def _not_found(request: Request, error: Exception) -> Response:
    return error_response(str(error), 404)


async def _no_such_path(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = ", ".join(["/", *openapi.PATHS])
    unknown = f"no such path: {request.url.path}; known paths: {known}"
    return error_response(unknown if error.status_code == 404 else error.detail, error.status_code)


async def _internal_error(request: Request, error: Exception) -> Response:
    _logger.error("internal error, please report it: the request of %s failed", request.url.path, exc_info=error)
    return error_response("internal error: the collector's log has the details", 500)


ERROR_HANDLERS: Final[dict[Any, Callable[[Request, Exception], Awaitable[Response]]]] = {
    QuestionError: _invalid_query,
    SourceError: _source_failed,
    NotFound: _not_found,
    HTTPException: _no_such_path,
    Exception: _internal_error,
}
