"""What a thread is executing: its calls as plain values. No frame is kept, because it would keep its local variables."""

import sys
from types import FrameType
from typing import NamedTuple

# A recursion has a thousand frames by default; calls further out than this are ignored.
MOST_CALLS = 2000


class Call(NamedTuple):
    """One call on a stack: source file as Python knows it, line that is executed, qualified name, module."""

    file: str
    line: int
    function: str
    module: str


Stack = tuple[Call, ...]


def depth(frame: FrameType | None) -> int:
    """Return the number of frames from `frame` outwards, itself included."""
    frames = 0
    while frame is not None:
        frames += 1
        frame = frame.f_back
    return frames


def stack_of(frame: FrameType | None, without_outermost: int = 0) -> Stack:
    """Return the calls on the stack of `frame`, innermost first, without so many of the outermost."""
    calls: list[Call] = []
    while frame is not None:
        code = frame.f_code
        module = frame.f_globals.get("__name__")
        calls.append(
            Call(code.co_filename, frame.f_lineno or 0, code.co_qualname, module if type(module) is str else "")
        )
        frame = frame.f_back
    return tuple(calls[: max(0, len(calls) - without_outermost)][:MOST_CALLS])


def stacks_of_others(*without: int | None) -> dict[int, Stack]:
    """Return the stacks of all threads by identifier, except those given."""
    return {thread: stack_of(frame) for thread, frame in sys._current_frames().items() if thread not in without}
