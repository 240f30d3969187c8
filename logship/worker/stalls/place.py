"""The line that was executed most of the time, from several samples of a stack."""

import contextlib
import os
import sys
import traceback
from collections import Counter
from collections.abc import Sequence

from logship.event.cut import cut_middle, safe_text
from logship.event.redact import Redactor
from logship.event.stall import Place
from logship.worker.stalls.application import Application
from logship.worker.stalls.stack import Call, Stack

STACK_BYTES = 8 * 1024
# The innermost calls show what happened.
CALLS_SHOWN = 40


def place_of(stacks: Sequence[Stack], application: Application, redactor: Redactor, thread: str = "") -> Place | None:
    """Return the culprit of most stacks: the most frequent function, and in it the most frequent line. None without one."""
    blamed = [(call, stack) for stack in stacks if (call := application.culprit(stack)) is not None]
    if not blamed:
        return None
    (file, function), _ = Counter((call.file, call.function) for call, _ in blamed).most_common(1)[0]
    inside = [(call, stack) for call, stack in blamed if (call.file, call.function) == (file, function)]
    line, _ = Counter(call.line for call, _ in inside).most_common(1)[0]
    stack = next(stack for call, stack in inside if call.line == line)
    return Place(
        safe_text(function), shown_file(file), line, _text(stack, redactor), redactor.text(safe_text(thread[:256]))
    )


def shown_file(file: str) -> str:
    """Return `file` below the directory from which its module is imported, or the working directory: `shop/orders.py`."""
    roots = [os.path.abspath(path or os.curdir) for path in (*sys.path, os.curdir) if isinstance(path, str)]
    inside = [root for root in roots if file.startswith(root.rstrip(os.sep) + os.sep)]
    return safe_text(os.path.relpath(file, max(inside, key=len)) if inside else file)


def _text(stack: Stack, redactor: Redactor) -> str:
    calls = [_summary(call) for call in reversed(stack[:CALLS_SHOWN])]
    with contextlib.suppress(Exception):  # a source file that cannot be decoded
        text = "".join(traceback.StackSummary.from_list(calls).format())
        return cut_middle(redactor.text(safe_text(text.rstrip("\n"))), STACK_BYTES)
    return ""


def _summary(call: Call) -> traceback.FrameSummary:
    return traceback.FrameSummary(call.file, call.line, call.function)
