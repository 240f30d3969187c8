"""Captures the values of a structlog call while its processors run, before a renderer turns them into text.

`ProcessorChain` knows in front of which processors the event dictionary must be read. `CapturedCall` keeps what it read:
the application's own processors have run by then (a field that they removed or masked stays so). A processor that renames
"event" or renders is recognised by its result."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog
from structlog import processors, stdlib

from logship.event import build
from logship.worker.capture import bound
from logship.worker.capture.log_call import ExcInfo, failure_of, report_error

Processor = Callable[[Any, str, Any], Any]

# structlog's own names: they become other fields of the event, not labels.
CHAIN_ADDS = frozenset(
    "event level level_number logger timestamp exception exc_info stack stack_info positional_args "
    "_record _from_structlog".split()
)
# Never fields of the application, even if it sets them.
_ALWAYS = frozenset("event exc_info stack_info positional_args _record _from_structlog".split())
_ORIGIN = {"filename", "lineno", "func_name"}

LEVEL_OF_METHOD = {
    "debug": "debug",
    "notset": "debug",
    "info": "info",
    "msg": "info",
    "log": "info",
    "warning": "warning",
    "warn": "warning",
    "error": "error",
    "err": "error",
    "exception": "error",
    "failure": "error",
    "critical": "critical",
    "fatal": "critical",
}

# These add or change a field; the dictionary still holds everything after them.
_HARMLESS_FUNCTIONS = {
    id(function)
    for function in (
        structlog.contextvars.merge_contextvars,
        processors.add_log_level,
        stdlib.add_log_level,
        stdlib.add_log_level_number,
        stdlib.add_logger_name,
        stdlib.filter_by_level,
        structlog.dev.set_exc_info,
    )
}
_HARMLESS_TYPES = (
    processors.TimeStamper,
    processors.MaybeTimeStamper,
    processors.StackInfoRenderer,
    processors.CallsiteParameterAdder,
    processors.UnicodeDecoder,
    stdlib.PositionalArgumentsFormatter,
    stdlib.ExtraAdder,
)

MAX_CHAINS = 256


_STAMPERS = (processors.TimeStamper, processors.MaybeTimeStamper)
_render_stack = processors.StackInfoRenderer(additional_ignores=["logship"])


def stack_of_call() -> str:
    """Return the stack of the application's call, as structlog's StackInfoRenderer writes it."""
    return str(_render_stack(None, "", {"stack_info": True}).get("stack", ""))


class ProcessorChain:
    """A chain of processors and its properties.

    `each`: (processor, whether to read the event dictionary before it). `merges`: the chain merges context variables.
    `places`: it adds the call site. `own_names`: names of fields that the chain itself adds."""

    __slots__ = ("chain", "each", "merges", "original", "own_names", "places")

    def __init__(self, original: Iterable[Processor]) -> None:
        self.original = original  # a reference, so that its id is not reused for another chain
        self.chain = chain = list(original)
        last = len(chain) - 1
        self.each = [(processor, at == last or not _harmless(processor)) for at, processor in enumerate(chain)]
        self.merges = any(processor is structlog.contextvars.merge_contextvars for processor in chain)
        self.places = any(isinstance(processor, processors.CallsiteParameterAdder) for processor in chain)
        stampers = [getattr(stamper, "stamper", stamper) for stamper in chain if isinstance(stamper, _STAMPERS)]
        stamps = {key for stamper in stampers if isinstance(key := getattr(stamper, "key", None), str)}
        self.own_names = CHAIN_ADDS | stamps | (_ORIGIN if self.places else set())


def _harmless(processor: Processor) -> bool:
    return id(processor) in _HARMLESS_FUNCTIONS or isinstance(processor, _HARMLESS_TYPES)


_known: dict[int, ProcessorChain] = {}


def chain_of(chain: Iterable[Processor]) -> ProcessorChain:
    """Return what is known of a chain of processors. Cached: chains are few. One that was changed in place is read again."""
    known = _known.get(id(chain))
    if known is None or (known.chain != chain and type(chain) is not tuple):
        if len(_known) >= MAX_CHAINS:
            _known.clear()
        known = ProcessorChain(chain)
        if type(chain) in {list, tuple}:
            _known[id(chain)] = known
    return known


class CapturedCall:
    """The values of one call of structlog.

    `written`: its event is in the journal, so logging's record of the same call is not a second event. `rendered`: what the
    wrapped logger is called with, by which that record is recognised."""

    __slots__ = (
        "_key",
        "_last",
        "_over",
        "failure",
        "message",
        "own",
        "rendered",
        "rendered_extra",
        "stack",
        "written",
    )

    def __init__(self) -> None:
        self._key = "event"
        self._last: Mapping[str, Any] = {}
        self._over = False
        self.failure: ExcInfo | str | None = None
        self.message: object = ""
        self.own: dict[str, Any] = {}
        self.rendered: object = None
        self.rendered_extra: frozenset[str] = frozenset()
        self.stack = ""
        self.written = False

    def look(self, event_dict: Any) -> None:
        """Read the dictionary before a processor that may render it, rename a key or remove one."""
        if self._over:
            return
        if not isinstance(event_dict, Mapping):
            self._over = True  # the previous processor has rendered it
            return
        last, self._last = self._last, dict(event_dict)
        if last and self._key and self._last.get(self._key) is not (message := last.get(self._key)):
            self._follow(message, last)
        if self._key:
            self.message = self._last.get(self._key, "")
        if self.failure is None and "exc_info" in self._last:
            self.failure = failure_of(self._last["exc_info"])

    def _follow(self, message: object, last: Mapping[str, Any]) -> None:
        """Find the message again: its key was renamed, its value changed, or it was removed."""
        renamed = [name for name, value in self._last.items() if value is message and last.get(name) is not message]
        if renamed:
            self._key = renamed[0]
        elif self._key not in self._last:
            self._key = ""  # removed: the message stays as it was

    def finish(self, chain: ProcessorChain, call_fields: Mapping[str, Any], context: Mapping[str, Any]) -> None:
        """Separate the call's fields from those that the chain added. `call_fields`, `context`: of the call and its logger."""
        own = {}
        for name, value in self._last.items():
            if name in chain.own_names and (name in _ALWAYS or call_fields.get(name, context.get(name)) is not value):
                continue
            if name != self._key:
                own[name] = value
        last = self._last
        text = last.get("exception")
        if self.failure is None and type(text) is str and "Traceback (most recent call last)" in text:
            self.failure = text
            own.pop("exception", None)
        stack = last.get("stack")
        if last.get("stack_info") is True:
            stack = stack_of_call()
        self.stack = stack if type(stack) is str and "stack" not in own else ""
        if bound.EVER_BOUND and not chain.merges:
            own = {**bound.values(), **own}
        self.own = own

    def origin(self, chain: ProcessorChain) -> tuple[str, int, str] | None:
        """Return the call site if the chain adds it (CallsiteParameterAdder), else None."""
        if not chain.places:
            return None
        last = self._last
        return last.get("filename", ""), last.get("lineno", 0), last.get("func_name", "")

    def level(self, method: str) -> str:
        """Return the level of a call of `method`; for an unknown method the level that the chain added, or info."""
        known = LEVEL_OF_METHOD.get(method)
        if known is None:
            added = self._last.get("level")
            known = added if type(added) is str and added in build.LEVELS else "info"
        return known

    def logger(self) -> object:
        """Return the logger's name if the chain adds it (add_logger_name); else empty."""
        return self._last.get("logger", "")

    def is_rendered_as(self, message: object) -> bool:
        """Return whether `message`, of a record of logging, is the rendered form of this call."""
        return message is self.rendered

    def done(self) -> None:
        """Note that the event is in the journal, and drop everything but the rendered form: an exception refers to its frames."""
        self.written = True
        self.own = {}
        self._last = {}
        self.failure = None

    def render(self, args: Any, kw: Mapping[str, Any]) -> None:
        """Keep what the wrapped logger is called with."""
        try:
            self.rendered = args[0] if args else kw.get("msg", kw.get("event"))
            extra = kw.get("extra")
            self.rendered_extra = frozenset(extra) if isinstance(extra, dict) else frozenset()
        except Exception as error:
            report_error(error)


class _Pending(threading.local):
    """The call of this thread that stdlib logging receives next."""

    call: CapturedCall | None = None


pending = _Pending()


def guarded(read: Callable[..., Any], *args: Any) -> Any:
    """Call `read(*args)`; an error of logship is reported and not raised into the application, and None is returned."""
    try:
        return read(*args)
    except Exception as error:
        report_error(error)
        return None
