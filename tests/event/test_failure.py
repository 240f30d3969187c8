import subprocess
import sys
from types import TracebackType

import pytest

from logship.event.failure import error_fields, fingerprint
from logship.event.redact import Redactor
from logship.testing import PLANTED, assert_no_secrets, plant

REDACTOR = Redactor(("customer_name",))
LIMIT = 16 * 1024


def told(exc: BaseException, limit_bytes: int = LIMIT) -> dict[str, str]:
    fields = error_fields(type(exc), exc, exc.__traceback__, REDACTOR, limit_bytes)
    assert set(fields) == {"error.type", "error.message", "error.stack_trace", "error.id"}
    return {name: str(value) for name, value in fields.items()}


def raised(exc: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise exc from cause
    except BaseException as caught:
        return caught


class ShopError(Exception):
    pass


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise SystemExit("no")

    __repr__ = __str__


def test_an_exception_becomes_four_fields() -> None:
    fields = told(raised(ValueError("no such order")))
    assert fields["error.type"] == "ValueError"
    assert fields["error.message"] == "no such order"
    assert fields["error.stack_trace"].startswith("Traceback (most recent call last):")
    assert fields["error.stack_trace"].endswith("ValueError: no such order")
    assert len(fields["error.id"]) == 32


def test_without_an_exception_there_are_no_fields() -> None:
    assert error_fields(None, None, None, REDACTOR, LIMIT) == {}


def test_a_class_alone_is_enough() -> None:
    assert error_fields(ValueError, None, None, REDACTOR, LIMIT)["error.type"] == "ValueError"


def test_the_class_is_named_with_its_module() -> None:
    assert told(ShopError("x"))["error.type"] == f"{__name__}.ShopError"


def test_causes_contexts_notes_and_groups_are_in_the_trace() -> None:
    inner = raised(KeyError("sku"), cause=raised(OSError("disk gone")))
    inner.add_note("while counting")
    group = raised(ExceptionGroup("two things", [ValueError("first"), TypeError("second")]), cause=inner)
    trace = told(group)["error.stack_trace"]
    for text in ("disk gone", "sku", "while counting", "two things", "first", "second", "direct cause"):
        assert text in trace


@pytest.mark.parametrize("kind", sorted(PLANTED))
def test_no_planted_secret_survives_in_message_trace_cause_note_or_group(kind: str) -> None:
    cause = raised(RuntimeError(plant(kind)))
    cause.add_note(plant(kind))
    exc = raised(ExceptionGroup(plant(kind), [ValueError(plant(kind))]), cause=cause)
    assert_no_secrets(told(exc), [PLANTED[kind]])


def test_an_exception_whose_text_raises_is_still_told() -> None:
    fields = told(raised(Unspeakable()))
    assert fields["error.type"].endswith("Unspeakable")
    assert fields["error.message"] == "[unreadable message]"
    assert "Unspeakable" in fields["error.stack_trace"]


def test_a_text_with_lone_surrogates_can_be_encoded() -> None:
    fields = told(raised(ValueError("bad \ud800 text")))
    "".join(fields.values()).encode()


def test_a_broken_traceback_does_not_matter() -> None:
    class Broken(Exception):
        __module__ = None  # type: ignore[assignment]
        __notes__ = 5  # type: ignore[assignment]
        __cause__ = 7  # type: ignore[assignment]

    fields = error_fields(Broken, Broken("x"), "no traceback", REDACTOR, LIMIT)  # type: ignore[arg-type]
    assert fields["error.message"] == "x"
    assert fields["error.id"]


def test_a_cycle_of_causes_ends() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert "second" in told(first)["error.stack_trace"]


def test_a_long_trace_keeps_its_head_and_its_tail_within_the_limit() -> None:
    exc = raised(ValueError("begin " + "x" * 100_000 + " end"), cause=raised(OSError("the root of it")))
    trace = told(exc)["error.stack_trace"]
    assert len(trace.encode()) <= LIMIT
    assert "the root of it" in trace
    assert "...[cut " in trace
    assert trace.endswith(" end")
    assert len(told(exc)["error.message"].encode()) <= LIMIT // 4


def test_megabytes_of_message_are_not_read_to_the_end() -> None:
    fields = told(raised(ValueError("password=hunter2 " * 1_000_000)))
    assert "hunter2" not in fields["error.message"] + fields["error.stack_trace"]


def fall(depth: int) -> None:
    if not depth:
        raise RecursionError("too deep")
    fall(depth - 1)


def caught(depth: int) -> RecursionError:
    try:
        fall(depth)
    except RecursionError as exc:
        return exc
    raise AssertionError


def test_the_fingerprint_knows_the_bug_and_not_its_circumstances() -> None:
    shallow, deep = caught(3), caught(300)
    assert told(shallow)["error.id"] == told(deep)["error.id"]
    assert told(raised(ValueError("one")))["error.id"] == told(raised(ValueError("other")))["error.id"]
    assert told(raised(ValueError("one")))["error.id"] != told(raised(TypeError("one")))["error.id"]
    assert told(shallow)["error.id"] != told(raised(RecursionError()))["error.id"]
    with_cause = raised(ValueError(), cause=OSError())
    assert told(with_cause)["error.id"] != told(raised(ValueError()))["error.id"]


def test_the_fingerprint_is_the_same_in_every_process_and_on_every_line() -> None:
    code = """
from logship.event.failure import fingerprint
def work():
    raise ValueError("x")
try:
    work()
except ValueError as exc:
    print(fingerprint(type(exc), exc, exc.__traceback__))
"""
    ids = {
        subprocess.run([sys.executable, "-c", shift + code], capture_output=True, text=True, check=True).stdout
        for shift in ("", "\n\n\n")
    }
    assert len(ids) == 1


def test_a_traceback_is_never_kept_alive() -> None:
    tb: TracebackType | None = raised(ValueError()).__traceback__
    assert fingerprint(ValueError, None, tb) == fingerprint(ValueError, None, tb)
