"""An exception as fields: class, message, stack trace with causes and groups, and a fingerprint. Redacted; never raises.

Local variables are never read. The fingerprint is made from the class and from the modules and functions on the stack,
without line numbers: it stays the same when other lines of a file change.
"""

import hashlib
import re
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final

from logship.event.cut import MARK_BYTES, cut_middle, cut_text, safe_text
from logship.event.redact import CUT_MARGIN_CHARACTERS, Redactor

# A recursion has a thousand frames. The innermost ones show what failed; others would be cut anyway.
_FRAMES: Final = 64
_CAUSES: Final = 8
# The part of a text that is read: redacting megabytes would take too long on the request path.
_READ_CHARACTERS: Final = 128 * 1024
# The formatter of Python reads all causes and members before it writes the first line: 20,000 take 0.6 s.
_EXCEPTIONS: Final = 32
_TRACEBACK: Final = "Traceback (most recent call last):"


def error_fields(
    exc_type: type[BaseException] | None,
    exc: BaseException | None,
    tb: TracebackType | None,
    redactor: Redactor,
    limit_bytes: int = 16 * 1024,
) -> dict[str, object]:
    """Return error.type, error.message, error.stack_trace and error.id; {} if there is no exception.

    `limit_bytes`: of the stack trace, whose beginning and end are kept; the message has a quarter of it."""
    if exc_type is None and exc is None:
        return {}
    kind = exc_type if exc_type is not None else type(exc) if exc is not None else BaseException
    name = _attempt(lambda: _type_name(kind), "unknown")
    message = _attempt(lambda: str(exc), "[unreadable message]") if exc is not None else ""
    trace = _attempt(lambda: _trace(kind, exc, tb), "") or f"{name}: {message}"
    return {
        "error.type": redactor.text(cut_text(name, 256)),
        "error.message": _beginning(message, max(limit_bytes // 4, 256), redactor),
        "error.stack_trace": _both_ends(trace, limit_bytes, redactor),
        "error.id": _attempt(lambda: fingerprint(kind, exc, tb), _digest([name])),
    }


def error_fields_of_text(text: str, redactor: Redactor, limit_bytes: int = 16 * 1024) -> dict[str, object]:
    """Return the same fields for the text of a traceback; class and message are taken from its last lines.

    The fingerprint is made from the class and the functions in the text. It differs from that of the exception itself."""
    shown = _both_ends(text.rstrip("\n"), limit_bytes, redactor)
    name, message = _last_words(shown)
    fields: dict[str, object] = {"error.stack_trace": shown}
    if name:
        fields["error.type"] = cut_text(name, 256)
        fields["error.message"] = cut_text(message, max(limit_bytes // 4, 256))
        fields["error.id"] = _digest([name, *_FRAME.findall(shown)[-_FRAMES:]])
    return fields


# `  File "shop.py", line 7, in checkout`, and the last line of a traceback: `shop.OutOfStock: tea`.
_FRAME: Final = re.compile(r'^\s+File "[^"\n]*", line \d+, in (\S+)', re.MULTILINE)
_LAST_LINE: Final = re.compile(r"([A-Za-z_][\w.]{0,255})(?:: (.*))?", re.DOTALL)


def _last_words(trace: str) -> tuple[str, str]:
    """Return (class, message) of the exception at the end of a traceback; ("", "") if there is none."""
    lines = trace.split("\n")
    frames = [number for number, line in enumerate(lines) if line[:1] in {" ", "\t"}]
    # The message may have several lines; the class begins the first line after the last frame.
    behind = lines[frames[-1] + 1 :] if frames else lines[-1:]
    match = _LAST_LINE.fullmatch("\n".join(behind))
    return (match[1], match[2] or "") if match else ("", "")


def fingerprint(exc_type: type[BaseException], exc: BaseException | None, tb: TracebackType | None) -> str:
    """Return 32 hexadecimal digits that depend only on classes, modules and functions of the exception and its causes.

    Recursive functions count once, so that the depth of a recursion does not matter."""
    parts = [_type_name(exc_type), *_functions(tb)]
    for cause in _causes(exc):
        parts += (_type_name(type(cause)), *_functions(cause.__traceback__))
    return _digest(parts)


def _digest(parts: list[str]) -> str:
    return hashlib.blake2b("\n".join(parts).encode("utf-8", "replace"), digest_size=16).hexdigest()


def _functions(tb: TracebackType | None) -> list[str]:
    found: list[str] = []
    while tb is not None:
        frame = tb.tb_frame
        function = f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname}"
        if function not in found[-2:]:
            found.append(function)
        tb = tb.tb_next
    return found[-_FRAMES:]


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    """Yield the exceptions that a traceback shows before this one, nearest first."""
    seen = {id(exc)}
    for _ in range(_CAUSES):
        if exc is None:
            return
        exc = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
        if exc is None or id(exc) in seen:
            return
        seen.add(id(exc))
        yield exc


def _trace(kind: type[BaseException], exc: BaseException | None, tb: TracebackType | None) -> str:
    # Without a value there is no message, but the frames are still useful.
    value = exc if exc is not None else kind.__new__(kind)
    if not _few(value):
        return "\n".join(_short_trace(kind, value, tb))
    formatted = traceback.TracebackException(kind, value, tb, limit=-_FRAMES, capture_locals=False, compact=True)
    parts, size = [], 0
    for part in formatted.format():
        parts.append(part)
        size += len(part)
        if size > _READ_CHARACTERS:
            break
    return "".join(parts).rstrip("\n")


def _few(exc: BaseException) -> bool:
    """Return whether there are at most `_EXCEPTIONS` causes and members of groups, which the formatter of Python reads all."""
    seen: set[int] = set()
    waiting = [exc]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if len(seen) > _EXCEPTIONS:
            return False
        waiting += [found for found in (one.__cause__, one.__context__) if found is not None]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions[: _EXCEPTIONS + 1]
    return True


def _short_trace(kind: type[BaseException], exc: BaseException, tb: TracebackType | None) -> Iterator[str]:
    """Yield the nearest causes with their frames and messages, and the messages of the first members of a group."""
    causes = [(type(cause), cause, cause.__traceback__) for cause in _causes(exc)]
    yield f"...[more than {_EXCEPTIONS} exceptions: the last {len(causes) + 1} are shown]"
    for its_kind, one, its_tb in [*reversed(causes), (kind, exc, tb)]:
        yield _TRACEBACK
        yield "".join(traceback.format_tb(its_tb, limit=-_FRAMES // 4)).rstrip("\n")
        yield _last_line(its_kind, one)
        if isinstance(one, BaseExceptionGroup):
            yield from (f"  | {_last_line(type(member), member)}" for member in one.exceptions[:_CAUSES])


def _last_line(kind: type[BaseException], exc: BaseException) -> str:
    message = _attempt(lambda: str(exc), "[unreadable message]")[: 16 * 1024]
    return f"{_attempt(lambda: _type_name(kind), 'unknown')}: {message}"


def _type_name(kind: type[BaseException]) -> str:
    module = kind.__module__
    return kind.__qualname__ if module in {"builtins", "__main__"} else f"{module}.{kind.__qualname__}"


def _beginning(text: str, limit_bytes: int, redactor: Redactor) -> str:
    """Return the beginning of `text`, redacted. It is cut first; the margin prevents that a part of a secret remains."""
    window = limit_bytes + CUT_MARGIN_CHARACTERS
    if len(text) <= window:
        return cut_text(redactor.text(safe_text(text)), limit_bytes)
    shown = redactor.text(safe_text(text[:window]))[:-CUT_MARGIN_CHARACTERS]
    return cut_text(shown, limit_bytes, len(text) - len(shown))


def _both_ends(text: str, limit_bytes: int, redactor: Redactor) -> str:
    """Return the beginning and, twice as long, the end of `text`, redacted. The part in between is not read."""
    if len(text) <= limit_bytes + 3 * CUT_MARGIN_CHARACTERS:
        return cut_middle(redactor.text(safe_text(text)), limit_bytes)
    room = limit_bytes - MARK_BYTES
    head = redactor.text(safe_text(text[: room // 3 + CUT_MARGIN_CHARACTERS]))[:-CUT_MARGIN_CHARACTERS]
    tail = redactor.text(safe_text(text[-(room - room // 3) - CUT_MARGIN_CHARACTERS :]))[CUT_MARGIN_CHARACTERS:]
    first, last = head.encode()[: room // 3], tail.encode()[-(room - room // 3) :]
    mark = f"\n...[cut {len(text) - len(head) - len(tail)} characters]\n"
    return f"{first.decode('utf-8', 'ignore')}{mark}{last.decode('utf-8', 'ignore')}"


def _attempt(read: Callable[[], str], otherwise: str) -> str:
    """Return the text that `read` returns, or `otherwise` if the code of the exception fails."""
    try:
        return str.__str__(read())
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - __str__ of a foreign exception may raise anything, SystemExit too
        return otherwise
