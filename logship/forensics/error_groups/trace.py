"""Stack traces as text: their frames, which of them belong to the application, and a shorter form to show."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

_FRAME = re.compile(r'^[\s|+-]*File "([^"]*)", line \d+, in (\S+)')
_LIBRARY = re.compile(r"/(?:site|dist)-packages/([^/.]+)|/lib/(?:python|pypy)[\d.]+/(?!site-|dist-)([^/.]+)|^<(\w+)")
# A single frame of a library is not longer than the line that would replace it.
LEAST_FOLDED = 2
# Directories differ between machines and containers.
PATH_PARTS = 2


@dataclass(frozen=True, slots=True)
class StackFrame:
    """A frame of a trace. `library`: its package, "" for the application; `lines`: its text, the line of the source included."""

    file: str
    function: str
    library: str
    lines: tuple[str, ...]

    def place(self) -> str:
        """Return where it is, the same on all machines and after other lines of the file have changed."""
        return f"{'/'.join(self.file.split('/')[-PATH_PARTS:])} {self.function}"


def parts_of(trace: str) -> Iterator[StackFrame | str]:
    """Yield the frames of a stack trace and the lines between them, in their order."""
    lines: list[str] = []
    head: re.Match[str] | None = None
    for line in trace.split("\n"):
        match = _FRAME.match(line)
        if head is not None and (match or not line.startswith(" " * (_indent(head[0]) + 2))):
            yield _frame(head, lines)
            head, lines = None, []
        if match:
            head, lines = match, [line]
        elif head is not None:
            lines.append(line)
        else:
            yield line
    if head is not None:
        yield _frame(head, lines)


def culprit(trace: str) -> str:
    """Return the place of the innermost frame of the application in the exception itself, not in its causes.

    Without one, the innermost frame of a library; "" for a text without frames."""
    frames: list[StackFrame] = []
    for part in parts_of(trace):
        if isinstance(part, StackFrame):
            frames.append(part)
        elif part.startswith("Traceback (most recent call last)"):
            frames = []
    own = [frame for frame in frames if not frame.library]
    return (own or frames)[-1].place() if frames else ""


def folded(trace: str) -> str:
    """Return the trace with one line for consecutive frames of libraries."""
    lines: list[str] = []
    for of_library, parts in groupby(parts_of(trace), key=lambda part: isinstance(part, StackFrame) and bool(part.library)):
        members = [*parts]
        frames = [part for part in members if isinstance(part, StackFrame)]
        if of_library and len(frames) >= LEAST_FOLDED:
            lines.append(_summary(frames))
            continue
        for part in members:
            lines += part.lines if isinstance(part, StackFrame) else [part]
    return "\n".join(lines)


def _summary(frames: Sequence[StackFrame]) -> str:
    names = dict.fromkeys(frame.library for frame in frames)
    return f"  ... {len(frames)} frames of {', '.join(names)}"


def _frame(head: re.Match[str], lines: Sequence[str]) -> StackFrame:
    library = _LIBRARY.search(head[1])
    return StackFrame(head[1], head[2], next(filter(None, library.groups()), "") if library else "", tuple(lines))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
