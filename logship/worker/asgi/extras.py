"""Fields that most requests do not have: the exception, bound context variables, values that are allowed by name."""

import contextlib
from collections.abc import Iterable
from functools import partial
from typing import Any

from logship.event import account, entry
from logship.event.cut import redacted_head
from logship.event.failure import error_fields
from logship.event.redact import Redactor
from logship.worker.asgi.policy import RequestPolicy
from logship.worker.asgi.types import Scope
from logship.worker.capture import bound
from logship.worker.context import RECORDED

STACK_BYTES = 16 * 1024
# Of a header or cookie that is allowed by name.
VALUE_CHARACTERS = 1024
VALUE_BYTES_READ = 4 * VALUE_CHARACTERS
COOKIE_BYTES_READ = 32 * 1024


def pack(
    policy: RequestPolicy,
    scope: Scope,
    failure: BaseException | None,
    parent: tuple[bytes, bytes] | None,
    request: list[Any],
) -> tuple[bytes, int]:
    """Return (packed fields, how many). `parent`: trace and span id of the caller; `request`: the value of `REQUEST`."""
    redactor = policy.pipeline.redactor
    fields: dict[str, Any] = bound.fields(request, redactor) if bound.EVER_BOUND else {}
    if parent:
        fields["parent.id"] = parent[1].decode()
    if failure is not None and not account.cancelled(failure):
        fields |= error_fields(type(failure), failure, failure.__traceback__, redactor, STACK_BYTES)
        with contextlib.suppress(Exception):
            setattr(failure, RECORDED, True)
    if policy.allows_values:
        _add_allowed(fields, policy, scope)
    return entry.limited_pairs(fields)


def _add_allowed(fields: dict[str, Any], policy: RequestPolicy, scope: Scope) -> None:
    names = dict.fromkeys(policy.settings.allow_query)
    query = account.allowed_query(scope.get("query_string", b""), names, policy.pipeline.redactor)
    if query:
        fields["url.query"] = query
    labels = _allowed_labels(policy, scope["headers"])
    if labels:
        fields["labels"] = {**fields.get("labels", {}), **labels}


def _allowed_labels(policy: RequestPolicy, headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return labels of the headers and cookies that are allowed by name. Repeated ones are joined, cut, then redacted."""
    values: dict[tuple[str, str], bytes] = {}
    for name, value in headers:
        if name in policy.headers:
            _join(values, ("header", name.decode("latin-1")), value)
        elif name == b"cookie" and policy.cookies:
            for pair in value[:COOKIE_BYTES_READ].split(b";"):
                cookie, _, content = pair.strip().partition(b"=")
                if cookie in policy.cookies:
                    _join(values, ("cookie", cookie.decode("latin-1")), content)
    redactor = policy.pipeline.redactor
    return {
        f"http.request.{kind}.{name}": redacted_head(
            value,
            VALUE_CHARACTERS,
            partial(_redacted_header, redactor, name) if kind == "header" else redactor.text,
        )
        for (kind, name), value in values.items()
    }


def _redacted_header(redactor: Redactor, name: str, value: str) -> str:
    return str(redactor.value(name, value))


def _join(values: dict[tuple[str, str], bytes], name: tuple[str, str], value: bytes) -> None:
    before = values.get(name)
    if before is None:
        values[name] = value[:VALUE_BYTES_READ]
    elif len(before) < VALUE_BYTES_READ:
        values[name] = before + b", " + value[:VALUE_BYTES_READ]
