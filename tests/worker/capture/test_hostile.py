"""No log call raises into the application, and each leaves an event, whatever its values and exceptions do."""

import contextlib
import inspect
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import structlog

import logship
from logship.worker.capture import stdlib
from tests.worker.driving import Desk, desk


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path, level="debug") as made:
        yield made


class Formats(logging.Handler):
    """A handler as applications have them: it makes the record's text, and survives what that raises."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(BaseException):
            self.format(record)


@pytest.fixture
def quiet() -> logging.Logger:
    """A logger without pytest's own handler, which raises what a value raises."""
    logger = logging.Logger("quiet", logging.DEBUG)
    logger.addHandler(Formats())
    return logger


class Odd(BaseException):
    """Neither an Exception nor one of Python's own ways to end."""


def refuse(error: type[BaseException]) -> Callable[..., NoReturn]:
    def method(*_: object, **__: object) -> NoReturn:
        raise error("no")

    return method


def hostile(error: type[BaseException], *names: str, base: type = object) -> Any:
    """An object whose methods `names` raise `error`."""
    return type("Hostile", (base,), {name: refuse(error) for name in names})()


HOSTILE = {
    "repr": hostile(RuntimeError, "__repr__"),
    "str": hostile(RuntimeError, "__str__", "__repr__"),
    "exit": hostile(SystemExit, "__str__", "__repr__"),
    "odd": hostile(Odd, "__str__", "__repr__", "__format__"),
    "attributes": hostile(RuntimeError, "__getattr__", "__repr__"),
    "every attribute": hostile(RuntimeError, "__getattribute__"),
    "class": type("Hostile", (), {"__class__": property(refuse(RuntimeError)), "__repr__": refuse(ValueError)})(),
    "truth": hostile(RuntimeError, "__bool__", "__len__", "__eq__", "__repr__"),
    "list": hostile(RuntimeError, "__len__", "__iter__", "__repr__", base=list),
    "dict": hostile(RuntimeError, "__len__", "__iter__", "items", "keys", "__repr__", base=dict),
    "text": hostile(RuntimeError, "__str__", "__len__", "__getitem__", "__repr__", "rstrip", base=str),
    "number": hostile(RuntimeError, "__int__", "__index__", "__repr__", "__float__", base=int),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_values_of_every_kind_leave_an_event(at: Desk, quiet: logging.Logger, name: str) -> None:
    value = HOSTILE[name]
    plain, ours, lazy = quiet, logship.get_logger("shop"), structlog.get_logger("shop")
    plain.info("row %s and %s", value, value)  # of one argument alone logging itself asks whether it is a map
    plain.info("row %s of %d", value, 7)
    plain.info("row %(it)s", {"it": value})
    plain.info("row", extra={"it": value, "b": [value]})
    plain.log(logging.INFO, value)
    for log in (ours, lazy):
        log.info("row", it=value, b={"nested": value})
        log.info("row %s", value)
        log.bind(it=value).warning(value)
    assert len(at.said()) == 11
    assert not any(at.pipeline().journal.identity.dropped().values())
    assert all(isinstance(event["message"], str) for event in at.said())


@pytest.mark.parametrize(
    ("message", "given"),
    [
        ("%d", ("x",)),
        ("%s %s", ("one",)),
        ("none", ("one",)),
        ("%(name)s", ({"other": 1},)),
        ("100%", ("x",)),
        ("%q", (1,)),
        ({"a": 1}, (1,)),
    ],
)
def test_arguments_that_do_not_fit_are_shown_behind_the_message(
    at: Desk, quiet: logging.Logger, message: Any, given: tuple[Any, ...]
) -> None:
    quiet.warning(message, *given)
    logship.get_logger().info(message, *given)
    first, second = [event["message"] for event in at.said()]
    assert first == second
    assert str(message).strip("{}") in first


class Broken(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def cyclic() -> Exception:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    return first


def noted() -> Exception:
    error = ValueError("noted")
    error.__notes__ = ["a note " * 1000] * 500
    return error


def badly_noted() -> Exception:
    error = ValueError("noted")
    error.__notes__ = 7  # type: ignore[assignment]
    return error


def chained() -> Exception:
    error: Exception = ValueError("innermost")
    for number in range(3000):
        outer = ValueError(f"outer {number}")
        outer.__cause__, error = error, outer
    return error


def grouped() -> BaseException:
    return ExceptionGroup("many", [ValueError(str(number)) for number in range(20_000)])


def nested() -> BaseException:
    error: Exception = ValueError("innermost")
    for number in range(500):
        error = ExceptionGroup(str(number), [error])
    return error


def of_an_odd_class() -> Exception:
    return type("Odd", (ValueError,), {"__module__": None, "__qualname__": "Odd"})("odd")  # type: ignore[no-any-return]


RAISED = {
    "a broken text": Broken("x"),
    "a cycle of causes": cyclic(),
    "huge notes": noted(),
    "notes that are none": badly_noted(),
    "a long chain": chained(),
    "a wide group": grouped(),
    "a deep group": nested(),
    "a class without a module": of_an_odd_class(),
    "a long text": ValueError("x" * 5_000_000),
    "an end": SystemExit(3),
    "an odd one": Odd("x"),
}


@pytest.mark.parametrize("name", RAISED)
def test_exceptions_of_every_kind_leave_an_event_with_their_class(at: Desk, quiet: logging.Logger, name: str) -> None:
    error = RAISED[name]
    try:
        raise error
    except BaseException:
        quiet.exception("failed")
        logship.get_logger().exception("failed")
    quiet.error("failed", exc_info=error)
    logship.get_logger().error("failed", exc_info=error)
    kinds = {event["error.type"].rpartition(".")[2] for event in at.said()}
    assert (len(at.said()), kinds) == (4, {type(error).__qualname__})
    assert all(0 < len(event["error.stack_trace"]) <= 16 * 1024 for event in at.said())
    assert len({event["error.id"] for event in at.said()}) == 1


@pytest.mark.parametrize(
    ("exc_info", "known"),
    [(True, None), (1, None), ((None, None, None), None), ("yes", None), ((1, 2), None), (ValueError("x"), "ValueError"),
     ((ValueError, ValueError("x"), None), "ValueError"), (object(), None)],
)  # fmt: skip
def test_exc_info_outside_of_an_except_is_an_event(
    at: Desk, quiet: logging.Logger, exc_info: Any, known: str | None
) -> None:
    quiet.error("failed", exc_info=exc_info)
    quiet.handle(logging.LogRecord("shop", 40, "far.py", 1, "failed", None, exc_info))
    logship.get_logger().error("failed", exc_info=exc_info)
    structlog.get_logger().error("failed", exc_info=exc_info)
    assert [event.get("error.type") for event in at.said()] == [known] * 4


def test_exc_info_true_of_a_record_means_the_exception_that_is_handled(at: Desk, quiet: logging.Logger) -> None:
    try:
        raise LookupError("gone")
    except LookupError:
        quiet.handle(logging.LogRecord("shop", 40, "far.py", 1, "failed", None, True))  # type: ignore[arg-type]
    [event] = at.said()
    assert event["error.type"] == "LookupError"


@pytest.mark.parametrize(
    "made",
    [
        {"msg": None}, {"msg": "x", "name": None}, {"msg": "x", "name": 7},
        {"msg": "x", "lineno": "seven", "filename": None, "funcName": 3}, {"msg": "x", "filename": "a\ud800"},
        {"msg": "x", "exc_text": 7, "stack_info": 7}, {"msg": b"\xff"}, {"msg": "x", "args": 7}, {"msg": "\ud800"},
    ],
    ids=repr,
)  # fmt: skip
def test_records_that_are_not_as_logging_makes_them_are_events(
    at: Desk, quiet: logging.Logger, made: dict[str, Any]
) -> None:
    quiet.handle(logging.makeLogRecord({"levelno": 20, **made}))
    assert len(at.said()) == 1
    assert not any(at.pipeline().journal.identity.dropped().values())


@pytest.mark.parametrize("name", [7, None, b"x", ()], ids=repr)
def test_a_record_whose_name_is_no_text_is_an_event_while_one_logger_has_its_own_level(
    at: Desk, quiet: logging.Logger, name: object
) -> None:
    stdlib.name_levels({"shop": logging.WARNING})
    try:
        quiet.handle(logging.makeLogRecord({"levelno": 20, "msg": "x", "name": name}))
    finally:
        stdlib.name_levels({})
    assert len(at.said()) == 1


class LogsItself:
    def __init__(self, log: Callable[..., object]) -> None:
        self._log = log

    def __repr__(self) -> str:
        self._log("again %s", self)
        return "at last"


@pytest.fixture
def shallow() -> Iterator[None]:
    """Few frames, so that recursions end soon: what is done at each level counts, not how many there are."""
    limit, depth = sys.getrecursionlimit(), len(inspect.stack(0))
    sys.setrecursionlimit(depth + 200)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.usefixtures("shallow")
def test_a_value_that_logs_itself_ends(at: Desk, quiet: logging.Logger) -> None:
    ours = logship.get_logger()
    for which in (quiet.warning, ours.warning):
        which("first %s", LogsItself(which))
        which("second", extra={"it": LogsItself(which)})
    said = [event["message"] for event in at.said()]
    assert said.count("first at last") == said.count("second") == 2


def test_a_call_without_frames_left_does_not_raise_a_mistake_of_ours(at: Desk) -> None:
    log = logship.get_logger()

    def deeper(left: int) -> int:
        log.info("deep", left=left)
        return deeper(left - 1) if left else 0

    with pytest.raises(RecursionError) as caught:
        deeper(sys.getrecursionlimit())
    assert caught.traceback[-1].name in {"deeper", "method"}
    assert len(at.said()) > 100


def test_an_error_of_the_applications_renderer_is_its_own_and_the_event_is_kept(at: Desk) -> None:
    structlog.configure(processors=[structlog.processors.JSONRenderer(default=refuse(TypeError))])
    with pytest.raises(TypeError, match="no"):
        structlog.get_logger().info("unrenderable", it=object(), order_id=7)
    [event] = at.said()
    assert (event["message"], event["numeric_labels"]) == ("unrenderable", {"order_id": 7})
