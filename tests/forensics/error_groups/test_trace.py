"""A stack trace is read as text: the frame that matters is the innermost one of the application."""

from logship.forensics.error_groups.trace import culprit, folded

TRACE = """Traceback (most recent call last):
  File "/app/.venv/lib/python3.11/site-packages/starlette/routing.py", line 715, in __call__
    await self.middleware_stack(scope, receive, send)
  File "/app/.venv/lib/python3.11/site-packages/uvicorn/server.py", line 7, in run
    self.call()
    ~~~~~~~~~^^
  File "/app/shop/orders.py", line 12, in place
    pay(order)
  File "/app/shop/payment.py", line 40, in pay
    client.post(order)
  File "/usr/lib/python3.11/ssl.py", line 99, in read
    return self._sslobj.read(len)
TimeoutError: the read operation timed out"""


def test_the_culprit_is_the_innermost_frame_of_the_application() -> None:
    assert culprit(TRACE) == "shop/payment.py pay"


def test_lines_and_directories_do_not_matter() -> None:
    assert culprit(TRACE.replace("line 40", "line 41").replace("/app/shop", "/srv/v2/shop")) == culprit(TRACE)


def test_the_exception_itself_counts_and_not_its_cause() -> None:
    cause = TRACE.replace("payment.py", "other.py")
    assert culprit(f"{cause}\n\nDuring handling of it, another exception occurred:\n\n{TRACE}") == "shop/payment.py pay"


def test_without_frames_of_the_application_the_innermost_one_is_named() -> None:
    library = 'Traceback (most recent call last):\n  File "/usr/lib/python3.11/json/decoder.py", line 3, in decode\nValueError'
    assert culprit(library) == "json/decoder.py decode"
    assert culprit("ValueError: no frames") == ""


def test_frames_of_libraries_are_folded() -> None:
    assert folded(TRACE).splitlines() == [
        "Traceback (most recent call last):",
        "  ... 2 frames of starlette, uvicorn",
        '  File "/app/shop/orders.py", line 12, in place',
        "    pay(order)",
        '  File "/app/shop/payment.py", line 40, in pay',
        "    client.post(order)",
        '  File "/usr/lib/python3.11/ssl.py", line 99, in read',
        "    return self._sslobj.read(len)",
        "TimeoutError: the read operation timed out",
    ]
    assert folded("ValueError: 1\nof 2") == "ValueError: 1\nof 2"
