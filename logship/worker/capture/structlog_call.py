"""What a structlog call said, read off while its processors run: before a renderer turns it into text.

`Steps` knows, for a chain of processors, in front of which ones the event dictionary has to be looked at. `Seen` keeps
what was there: the application's own processors have run by then (a field that they removed or masked stays so), while
a processor that renames "event" or renders is recognised by what it leaves behind."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog
from structlog import processors, stdlib

from logship.event import build
from logship.worker.capture import bound
from logship.worker.capture.call import ExcInfo, complain, failure_of

Processor = Callable[[Any, str, Any], Any]

# structlog's own names: they are in the event under other names, and no labels.
CHAIN_ADDS = frozenset(
    "event level level_number logger timestamp exception exc_info stack stack_info positional_args "
    "_record _from_structlog".split()
)
# Never an application's field, whoever sets them.
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

# They add a field or change one; the dictionary after them holds what it held before.
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

MOST_CHAINS = 256


_STAMPERS = (processors.TimeStamper, processors.MaybeTimeStamper)
_render_stack = processors.StackInfoRenderer(additional_ignores=["logship"])


def stack_of_call() -> str:
    """The stack of the application's call, as structlog's StackInfoRenderer writes it."""
    return str(_render_stack(None, "", {"stack_info": True}).get("stack", ""))


class Steps:
    """A chain of processors, and what is known of it."""

    __slots__ = ("chain", "each", "given", "merges", "own_names", "places")

    def __init__(self, given: Iterable[Processor]) -> None:
        self.given = given  # held, so that its id is not another chain's one day
        self.chain = chain = list(given)
        last = len(chain) - 1
        self.each = [(one, at == last or not _harmless(one)) for at, one in enumerate(chain)]
        self.merges = any(one is structlog.contextvars.merge_contextvars for one in chain)
        self.places = any(isinstance(one, processors.CallsiteParameterAdder) for one in chain)
        stampers = [getattr(one, "stamper", one) for one in chain if isinstance(one, _STAMPERS)]
        stamps = {key for one in stampers if isinstance(key := getattr(one, "key", None), str)}
        self.own_names = CHAIN_ADDS | stamps | (_ORIGIN if self.places else set())


def _harmless(one: Processor) -> bool:
    return id(one) in _HARMLESS_FUNCTIONS or isinstance(one, _HARMLESS_TYPES)


_known: dict[int, Steps] = {}


def steps_of(chain: Iterable[Processor]) -> Steps:
    """Return the steps of a chain; chains are few, and one that was changed in place is looked at again."""
    steps = _known.get(id(chain))
    if steps is None or (steps.chain != chain and type(chain) is not tuple):
        if len(_known) >= MOST_CHAINS:
            _known.clear()
        steps = Steps(chain)
        if type(chain) in {list, tuple}:
            _known[id(chain)] = steps
    return steps


class Seen:
    """The values of one call. `written`: its event is in the journal, and logging's record of it is not another one."""

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
        """Read the dictionary in front of a processor that may render it, rename in it or take from it."""
        if self._over:
            return
        if not isinstance(event_dict, Mapping):
            self._over = True  # the one before has rendered
            return
        last, self._last = self._last, dict(event_dict)
        if last and self._key and self._last.get(self._key) is not (said := last.get(self._key)):
            self._follow(said, last)
        if self._key:
            self.message = self._last.get(self._key, "")
        if self.failure is None and "exc_info" in self._last:
            self.failure = failure_of(self._last["exc_info"])

    def _follow(self, said: object, last: Mapping[str, Any]) -> None:
        """What happened stands under another name now, or has been changed, or was taken out."""
        renamed = [name for name, value in self._last.items() if value is said and last.get(name) is not said]
        if renamed:
            self._key = renamed[0]
        elif self._key not in self._last:
            self._key = ""  # and the message stays what it was

    def finish(self, steps: Steps, given: Mapping[str, Any], context: Mapping[str, Any]) -> None:
        """Tell fields from what the chain has added. `given`, `context`: what the call and its logger brought."""
        own = {}
        for name, value in self._last.items():
            if name in steps.own_names and (name in _ALWAYS or given.get(name, context.get(name)) is not value):
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
        if bound.EVER_BOUND and not steps.merges:
            own = {**bound.values(), **own}
        self.own = own

    def origin(self, steps: Steps) -> tuple[str, int, str] | None:
        """Where the call was made, if the chain looks for that (CallsiteParameterAdder)."""
        if not steps.places:
            return None
        last = self._last
        return last.get("filename", ""), last.get("lineno", 0), last.get("func_name", "")

    def level(self, method: str) -> str:
        """The level of a call of `method`; of a method that only the application knows, what the chain says."""
        known = LEVEL_OF_METHOD.get(method)
        if known is None:
            said = self._last.get("level")
            known = said if type(said) is str and said in build.LEVELS else "info"
        return known

    def logger(self) -> object:
        """The logger's name as the chain says it (add_logger_name); empty if it does not."""
        return self._last.get("logger", "")

    def is_rendered_as(self, message: object) -> bool:
        """Whether `message`, of a record of logging, is what became of this call."""
        return message is self.rendered

    def done(self) -> None:
        """The event is in the journal. Only what it was rendered as is still needed: frames of an exception must go."""
        self.written = True
        self.own = {}
        self._last = {}
        self.failure = None

    def render(self, args: Any, kw: Mapping[str, Any]) -> None:
        """Remember what is handed to the wrapped logger."""
        try:
            self.rendered = args[0] if args else kw.get("msg", kw.get("event"))
            extra = kw.get("extra")
            self.rendered_extra = frozenset(extra) if isinstance(extra, dict) else frozenset()
        except Exception as error:
            complain(error)


class _Pending(threading.local):
    """The call that is on its way to stdlib logging in this thread."""

    seen: Seen | None = None


pending = _Pending()


def guarded(read: Callable[..., Any], *given: Any) -> Any:
    """Run a part of the reading: a mistake of ours must not reach the application, which only wanted to log."""
    try:
        return read(*given)
    except Exception as error:
        complain(error)
        return None
