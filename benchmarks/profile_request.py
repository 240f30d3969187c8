"""Profile logship's share of the tight loop (`bench_request.py --profile`): the cost of each part of a request.

One request runs with its parts recorded, and each part is then timed with the recorded arguments. The remaining time is the code
between the parts: two wrappers, headers, cache keys."""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any
from unittest import mock

import apps
import tight
from machine import differences, environment, median, scratch, table

ROUNDS, REQUESTS = 15, 1500


def thread_us(work: Callable[[], object]) -> float:
    started = time.thread_time_ns()
    for _ in range(REQUESTS):
        work()
    return (time.thread_time_ns() - started) / REQUESTS / 1000


def pieces() -> dict[str, tuple[Any, str]]:
    """Return the functions that a request calls, and where they are looked up."""
    from logship.state import inflight, journal
    from logship.worker.asgi import requestlog as request

    return {
        "the append to the journal, whole": (journal.Journal, "append"),
        "  of it: the checksum": (journal, "_crc"),
        "numbers, times and ids as one struct": (request, "fixed"),
        "the entry's head": (request, "entry_head"),
        "a clock (five times a request)": (request, "perf_counter_ns"),
        "the cell of the in-flight table": (inflight, "_write"),
        "the start as text": (request, "second_text"),
    }


def watched(application: apps.Application) -> dict[str, Callable[[], object]]:
    """Return each part, ready to be called as the request called it."""
    calls: dict[str, Callable[[], object]] = {}

    def note(name: str, piece: Callable[..., object]) -> Callable[..., object]:
        def noted(*given: Any) -> object:
            calls[name] = partial(piece, *given)
            return piece(*given)

        return noted

    with ExitStack() as stack:
        for name, (owner, attribute) in pieces().items():
            stack.enter_context(mock.patch.object(owner, attribute, note(name, getattr(owner, attribute))))
        tight.drive(application)
    return calls


def main() -> None:
    with scratch() as folder:
        os.environ.update(environment(folder / "profile", 1), LOGSHIP_AGENT="file:/dev/null")
        application = apps.build("bare", "logship")

        async def passing(scope: apps.Message, receive: apps.Receive, send: apps.Send) -> None:
            await apps.bare(scope, receive, send)

        kinds = {"bare": apps.bare, "passing": passing, "logship": application}
        driven: dict[str, list[float]] = {name: [] for name in kinds}
        tight.drive(application)
        calls = watched(application)
        alone: dict[str, list[float]] = {name: [] for name in calls}
        nothing: list[float] = []
        for _ in range(ROUNDS):
            for name, kind in kinds.items():
                driven[name].append(thread_us(partial(tight.drive, kind)))
            nothing.append(thread_us(partial(int)))
            for name, call in calls.items():
                alone[name].append(thread_us(call))
                time.sleep(0.01)  # the shipping thread creates new segments
    added = differences(driven["logship"], driven["bare"])
    rows = [["a middleware that only forwards", f"{differences(driven['passing'], driven['bare']):.2f}", ""]]
    rows.append(["logship, whole", f"{added:.2f}", "1.00"])
    for name, values in alone.items():
        cost = differences(values, nothing)
        rows.append([f"  {name}", f"{cost:.2f}", f"{cost / added:.2f}"])
    title = f"Tight loop, us of the caller's CPU a request above the application alone ({median(driven['bare']):.2f})"
    table(title, ["", "us", "of all"], rows)


if __name__ == "__main__":
    main()
