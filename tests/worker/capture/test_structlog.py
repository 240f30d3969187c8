"""Applications that have configured structlog: their output stays byte for byte, and each call is one event with its values.

Each configuration runs in a process of its own kind three times: without logship, with logship configured before it, and
behind it. They are those of structlog's documentation, and of templates for FastAPI services as people publish them."""

import asyncio
import itertools
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from structlog.testing import capture_logs

import logship
from tests.worker.driving import Desk, desk
from tests.worker.serving import ROOT, Event

# name -> what the application does before it logs. FIXED stands for a time stamp.
CONFIGURATIONS = {
    "json, nothing else said": """
structlog.configure(processors=[merge, structlog.processors.add_log_level, stamp,
    structlog.processors.format_exc_info, structlog.processors.JSONRenderer()])
""",
    "json with a filtering logger": """
structlog.configure(processors=[merge, structlog.processors.add_log_level, stamp,
    structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()],
    wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
""",
    "getting started: the default, written out": """
structlog.configure(processors=[merge, structlog.processors.add_log_level, structlog.processors.StackInfoRenderer(),
    structlog.dev.set_exc_info, stamp, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)],
    wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET), context_class=dict,
    logger_factory=structlog.PrintLoggerFactory(), cache_logger_on_first_use=False)
""",
    "only a wrapper class": """
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
""",
    "only a logger factory": """
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
""",
    "performance: bytes, cached": """
structlog.configure(cache_logger_on_first_use=True, wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    processors=[merge, structlog.processors.add_log_level, structlog.processors.format_exc_info, stamp,
    structlog.processors.JSONRenderer(serializer=orjson.dumps)], logger_factory=structlog.BytesLoggerFactory())
""",
    "writing, logfmt": """
structlog.configure(processors=[merge, structlog.processors.add_log_level, structlog.processors.format_exc_info,
    structlog.processors.LogfmtRenderer()], logger_factory=structlog.WriteLoggerFactory())
""",
    "key=value, own processors": """
def timestamper(_, __, event_dict):
    event_dict["time"] = "FIXED"
    return event_dict
structlog.configure(processors=[timestamper, structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])
""",
    "EventRenamer": """
structlog.configure(processors=[merge, structlog.processors.add_log_level, structlog.processors.format_exc_info,
    structlog.processors.EventRenamer("message"), structlog.processors.JSONRenderer()],
    logger_factory=structlog.PrintLoggerFactory())
""",
    "EventRenamer through logging": """
logging.basicConfig(format="%(message)s", stream=sys.stdout, level=20)
structlog.configure(processors=[merge, stamp, structlog.stdlib.add_log_level, structlog.processors.format_exc_info,
    structlog.processors.EventRenamer("msg"), structlog.processors.JSONRenderer()],
    wrapper_class=structlog.make_filtering_bound_logger(logging.INFO), logger_factory=structlog.stdlib.LoggerFactory())
""",
    "a renaming function": """
def rename(_, __, event_dict):
    event_dict["message"] = event_dict.pop("event")
    return event_dict
def drop_color_message(_, __, event_dict):
    event_dict.pop("color_message", None)
    return event_dict
structlog.configure(processors=[merge, rename, drop_color_message, structlog.processors.add_log_level,
    structlog.processors.format_exc_info, structlog.processors.JSONRenderer()])
""",
    "standard library: rendered within structlog": """
logging.basicConfig(format="%(message)s", stream=sys.stdout, level=logging.INFO)
structlog.configure(processors=[structlog.stdlib.filter_by_level, structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level, structlog.stdlib.PositionalArgumentsFormatter(), stamp,
    structlog.processors.StackInfoRenderer(), structlog.processors.format_exc_info, structlog.processors.UnicodeDecoder(),
    structlog.processors.CallsiteParameterAdder({structlog.processors.CallsiteParameter.FILENAME,
        structlog.processors.CallsiteParameter.FUNC_NAME, structlog.processors.CallsiteParameter.LINENO}),
    structlog.processors.JSONRenderer()], wrapper_class=structlog.stdlib.BoundLogger,
    logger_factory=structlog.stdlib.LoggerFactory(), cache_logger_on_first_use=True)
""",
    "standard library: rendered by logging": """
class Extra(logging.Formatter):
    def format(self, record):
        return json.dumps({name: str(vars(record).get(name)) for name in ("msg", "order_id", "plan", "logger", "level")})
handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(Extra())
logging.getLogger().addHandler(handler)
logging.getLogger().setLevel(logging.INFO)
structlog.configure(processors=[structlog.stdlib.filter_by_level, structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level, structlog.stdlib.PositionalArgumentsFormatter(), structlog.processors.format_exc_info,
    structlog.processors.UnicodeDecoder(), structlog.stdlib.render_to_log_kwargs],
    logger_factory=structlog.stdlib.LoggerFactory(), wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True)
""",
    "standard library: arguments": """
logging.basicConfig(format="%(message)s %(levelname)s", stream=sys.stdout, level=logging.INFO)
structlog.configure(processors=[structlog.stdlib.render_to_log_args_and_kwargs],
    logger_factory=structlog.stdlib.LoggerFactory(), wrapper_class=structlog.stdlib.BoundLogger)
""",
    "ProcessorFormatter": """
formatter = structlog.stdlib.ProcessorFormatter(processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta,
    structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)])
handler = logging.StreamHandler()
handler.setFormatter(formatter)
logging.getLogger().addHandler(handler)
logging.getLogger().setLevel(logging.INFO)
structlog.configure(processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory())
""",
    "ProcessorFormatter by dictConfig": """
shared = [merge, structlog.stdlib.add_logger_name, structlog.stdlib.add_log_level, stamp]
logging.config.dictConfig({"version": 1, "disable_existing_loggers": False,
    "formatters": {"json": {"()": structlog.stdlib.ProcessorFormatter, "foreign_pre_chain": shared,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()]}},
    "handlers": {"default": {"level": "INFO", "class": "logging.StreamHandler", "formatter": "json"}},
    "loggers": {"": {"handlers": ["default"], "level": "INFO", "propagate": True}}})
structlog.configure(processors=[*shared, structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.StackInfoRenderer(), structlog.processors.format_exc_info,
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter], logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger, cache_logger_on_first_use=True)
""",
    "structlog.stdlib.recreate_defaults": """
structlog.stdlib.recreate_defaults(log_level=logging.INFO)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], structlog.processors.KeyValueRenderer()])
""",
    "a template: severity, request id, static fields": """
def severity(_, method, event_dict):
    event_dict["severity"] = event_dict.pop("level").upper()
    return event_dict
structlog.configure(processors=[merge, structlog.processors.add_log_level, severity,
    structlog.processors.TimeStamper(fmt="FIXED", key="@timestamp"), structlog.processors.dict_tracebacks,
    structlog.processors.CallsiteParameterAdder([structlog.processors.CallsiteParameter.FUNC_NAME]),
    structlog.processors.EventRenamer("message"), structlog.processors.JSONRenderer(sort_keys=True)],
    wrapper_class=structlog.make_filtering_bound_logger(20), logger_factory=structlog.PrintLoggerFactory(file=sys.stdout))
""",
    "an own wrapper class": """
class Semantic(structlog.BoundLoggerBase):
    def info(self, event, **kw):
        return self._proxy_to_logger("info", event, **kw)
    def warning(self, event, **kw):
        return self._proxy_to_logger("warning", event, **kw)
    def exception(self, event, **kw):
        return self._proxy_to_logger("error", event, exc_info=True, **kw)
structlog.configure(wrapper_class=Semantic, processors=[structlog.processors.format_exc_info,
    structlog.processors.KeyValueRenderer(key_order=["event"])])
""",
    "the generic bound logger": """
structlog.configure(wrapper_class=structlog.BoundLogger, processors=[merge, structlog.dev.set_exc_info,
    structlog.processors.format_exc_info, structlog.processors.JSONRenderer()])
""",
    "an own logger that hands on to logging": """
class Hands:
    def __init__(self, *names):
        self.to = logging.getLogger(*names)
    def msg(self, text):
        self.to.warning(text)
    info = warning = error = msg
logging.basicConfig(format="%(message)s", stream=sys.stdout, level=logging.INFO)
structlog.configure(logger_factory=Hands, processors=[structlog.processors.add_log_level,
    structlog.processors.format_exc_info, structlog.processors.JSONRenderer()])
""",
    "an explicit logger": """
logging.basicConfig(format="%(message)s", stream=sys.stdout, level=logging.INFO)
get = lambda name: structlog.wrap_logger(logging.getLogger(name), processors=[structlog.processors.format_exc_info,
    structlog.processors.JSONRenderer()])
""",
    "configured twice": """
structlog.configure(processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.PrintLoggerFactory())
get("early").info("early", case=CASE)
structlog.configure(processors=[merge, structlog.processors.format_exc_info,
    structlog.processors.KeyValueRenderer(sort_keys=True)], logger_factory=structlog.WriteLoggerFactory())
""",
    "configure_once, a tuple of processors": """
structlog.configure_once(processors=(merge, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()))
""",
}
HEAD = """
import json, logging, logging.config, sys
WITH = sys.argv[1]
if WITH == "first":
    import logship
    logship.configure()
import orjson, structlog
merge, stamp = structlog.contextvars.merge_contextvars, structlog.processors.TimeStamper(fmt="FIXED")

def place_order(log):
    log.info("order placed", order_id=7, plan="gold", case=CASE)

def fail(log):
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("payment failed", order_id=8, case=CASE)

for CASE, configuration in json.loads(sys.argv[2]).items():
    structlog.reset_defaults()
    root = logging.getLogger()
    root.handlers = []
    root.setLevel(logging.WARNING)
    get = structlog.get_logger
    for stream in (sys.stdout, sys.stderr):
        print("=====", CASE, file=stream, flush=True)
    exec(configuration)
    if WITH == "last":
        import logship
        logship.configure()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(tenant="acme")
    log = get("shop.orders")
    place_order(log)
    fail(log)
    log.bind(user="ann").warning("low stock", left=3, case=CASE)
"""
TIMES = re.compile(rb"0x[0-9a-f]+|\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+Z?)?")


def run(script: Path, how: str, out: Path) -> dict[str, list[bytes]]:
    """What was printed for each configuration on stdout and stderr; events go to `out`."""
    done = subprocess.run(
        [sys.executable, str(script), how, json.dumps(CONFIGURATIONS)],
        env={"LOGSHIP_AGENT": f"file:{out}", "LOGSHIP_STATE_DIR": str(out.parent / "state"), "PYTHONPATH": str(ROOT),
             "PYTHONHASHSEED": "0"},
        capture_output=True,
        check=True,
    )  # fmt: skip
    printed: dict[str, list[bytes]] = {}
    for stream in (done.stdout, done.stderr):
        for part in stream.split(b"===== ")[1:]:
            name, _, text = part.partition(b"\n")
            printed.setdefault(name.decode(), []).append(TIMES.sub(b"NOW", text))
    return printed


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, list[bytes]], list[Event]]]:
    """how -> (what was printed for each configuration, events of the application)."""
    folder = tmp_path_factory.mktemp("structlog")
    script = folder / "app.py"
    script.write_text(HEAD)
    found = {}
    for how in ("without", "first", "last"):
        out = folder / f"{how}.jsonl"
        printed = run(script, how, out)
        events = [orjson.loads(line) for line in out.read_bytes().splitlines()] if out.exists() else []
        found[how] = printed, [event for event in events if event["event.dataset"] == "logship.app"]
    return found


# What a template's own processors add to every event are labels of the application like any others.
ADDED = {
    "a template: severity, request id, static fields": {"severity"},
    "key=value, own processors": {"time"},
}
BOTH_ORDERS = list(itertools.product(CONFIGURATIONS, ["first", "last"]))


@pytest.mark.parametrize(("name", "how"), BOTH_ORDERS)
def test_the_output_is_what_it_was_byte_for_byte(ran: Any, name: str, how: str) -> None:
    assert b"order placed" in b"".join(ran["without"][0][name])
    assert ran[how][0][name] == ran["without"][0][name]


@pytest.mark.parametrize(("name", "how"), BOTH_ORDERS)
def test_each_call_is_one_event_with_its_values(ran: Any, name: str, how: str) -> None:
    events = [event for event in ran[how][1] if event["labels"].get("case") == name and event["message"] != "early"]
    assert [event["message"] for event in events] == ["order placed", "payment failed", "low stock"]
    placed, failed, low = events
    assert [event["log.level"] for event in events] == ["info", "error", "warning"]
    assert {event["log.logger"] for event in events} == {"shop.orders"}
    assert [event["numeric_labels"] for event in events] == [{"order_id": 7}, {"order_id": 8}, {"left": 3}]
    common = {"case", "tenant"} | ADDED.get(name, set())
    assert [set(event["labels"]) - common for event in events] == [{"plan"}, set(), {"user"}]
    assert {event["labels"]["tenant"] for event in events} == {"acme"}
    assert (failed["error.type"], failed["error.message"]) == ("ZeroDivisionError", "division by zero")
    assert "1 / 0" in failed["error.stack_trace"]
    assert "error.type" not in placed
    assert "error.type" not in low
    assert placed.get("log.origin.function", "place_order") == "place_order"


# What is not a question of configuration.


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path, level="info") as made:
        yield made


def test_structlog_that_nobody_configured_writes_into_the_journal_alone(
    at: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    structlog.get_logger("orders").bind(user="ann").info("hello %s", "world", n=1)
    structlog.get_logger().debug("too low")
    [event] = at.said()
    assert (event["message"], event["log.logger"], event["labels"]) == ("hello world", "orders", {"user": "ann"})
    assert capfd.readouterr().out == ""
    assert not structlog.is_configured()


def test_loggers_follow_the_level_that_is_set_later(at: Desk, tmp_path: Path) -> None:
    made = [logship.get_logger("ours"), structlog.get_logger("lazy"), structlog.get_logger("bound").bind(a=1)]
    for level, heard in {"info": [], "debug": ["debug"] * 3, "error": []}.items():
        logship.configure(agent="off", state_dir=str(tmp_path), level=level)
        before = len(at.said())
        for log in made:
            log.debug("one")
            assert log.is_enabled_for(logging.DEBUG) == bool(heard)
        logging.getLogger("plain").debug("two")
        said = [event["log.level"] for event in at.said()[before:]]
        assert said == heard + (["debug"] if heard else [])


def test_capture_logs_captures_what_a_test_logs_although_we_are_there(at: Desk) -> None:
    log = structlog.get_logger().bind(a=1)
    with capture_logs() as captured:
        log.info("one")
        structlog.get_logger().warning("two", b=2)
    assert captured == [
        {"event": "one", "a": 1, "log_level": "info"},
        {"event": "two", "b": 2, "log_level": "warning"},
    ]
    assert at.said() == []


def test_what_an_own_processor_drops_or_masks_stays_so(at: Desk) -> None:
    def censor(_: Any, __: str, event_dict: Any) -> Any:
        if event_dict.get("probe"):
            raise structlog.DropEvent
        event_dict["iban"] = "***"
        event_dict.pop("pin", None)
        return event_dict

    structlog.configure(processors=[censor, structlog.processors.JSONRenderer()])
    structlog.get_logger().info("paid", iban="DE02", pin=1234)
    structlog.get_logger().info("probed", probe=True)
    [event] = at.said()
    assert event["labels"] == {"iban": "***"}
    assert "numeric_labels" not in event


def test_own_names_stay_labels_unless_the_chain_has_set_them(at: Desk) -> None:
    structlog.configure(processors=[structlog.processors.JSONRenderer()])
    structlog.get_logger().info("moved", level=3, timestamp=17, filename="x.png", stack="tower")
    [event] = at.said()
    assert event["numeric_labels"] == {"level": 3, "timestamp": 17}
    assert event["labels"] == {"filename": "x.png", "stack": "tower"}


def test_an_error_of_a_processor_is_the_applications(at: Desk) -> None:
    structlog.configure(processors=[lambda _, __, event_dict: event_dict["missing"]])
    with pytest.raises(KeyError):
        structlog.get_logger().info("kept")
    chain: list[Any] = [lambda _, __, event_dict: 7]
    structlog.configure(processors=chain)
    with pytest.raises(ValueError, match="Last processor"):
        structlog.get_logger().info("no")
    assert [event["message"] for event in at.said()] == ["kept"]


def test_a_processor_that_logs_itself_does_not_mix_the_two(at: Desk) -> None:
    def logs(_: Any, __: str, event_dict: Any) -> Any:
        if event_dict["event"] == "outer":
            structlog.get_logger("inner").info("inner", a=1)
        return event_dict

    structlog.configure(processors=[logs, structlog.processors.JSONRenderer()])
    structlog.get_logger("outer").info("outer", b=2)
    assert [(event["message"], event["numeric_labels"]) for event in at.said()] == [
        ("inner", {"a": 1}),
        ("outer", {"b": 2}),
    ]


def test_async_methods_are_journalled_with_their_exception(at: Desk) -> None:
    asyncio.run(asynchronous())
    first, second, third = at.said()
    assert (first["message"], first["numeric_labels"]) == ("said", {"a": 1})
    assert (second["message"], second["error.type"]) == ("failed", "LookupError")
    assert (third["message"], third["log.logger"], third["numeric_labels"]) == ("by the older class", "shop", {"a": 2})


async def asynchronous() -> None:
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()])
    await structlog.get_logger().ainfo("said", a=1)
    try:
        raise LookupError("gone")
    except LookupError:
        await structlog.get_logger().aexception("failed")
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.stdlib.AsyncBoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    await structlog.get_logger("shop").warning("by the older class", a=2)


@pytest.mark.parametrize("rendered", ["JSONRenderer", "LogfmtRenderer"])
def test_text_that_another_process_has_rendered_is_read(at: Desk, rendered: str) -> None:
    made = getattr(structlog.processors, rendered)()
    text = made(None, "", {"event": 'said "so"', "level": "info", "order_id": 7, "ratio": 0.5, "ok": True, "plan": "gold"})
    logging.getLogger("far").info(text)
    [event] = at.said()
    assert event["message"] == 'said "so"'
    assert event["numeric_labels"] == {"order_id": 7, "ratio": 0.5}
    assert event["labels"] == {"ok": True, "plan": "gold"}


@pytest.mark.parametrize(
    "text",
    ['{"event": 7}', "{not json}", '["event"]', 'the event=x was "odd', "no event= here at all", '{"event": "x"' * 3],
)
def test_text_that_only_looks_rendered_stays_the_message(at: Desk, text: str) -> None:
    logging.getLogger("far").info("%s", text)
    [event] = at.said()
    assert event["message"] == text
    assert "labels" not in event
