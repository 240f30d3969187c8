"""What the application and its libraries log: each call once, whatever else they have installed."""

import logging
import logging.config
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import structlog

import logship
from logship.worker.capture import install as capture
from logship.worker.capture import stdlib
from tests.worker.driving import Desk, desk
from tests.worker.serving import ROOT, Event, Server, until


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as made:
        yield made


class Kept(logging.Handler):
    """A foreign handler that keeps what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def messages(at: Desk) -> list[str]:
    return [event["message"] for event in at.said()]


def test_a_stdlib_record_says_where_it_came_from_and_what_it_was_given(at: Desk) -> None:
    logging.getLogger("shop.orders").warning("order %d placed", 7, extra={"customer": "ada", "total": 12.5})
    [event] = at.said()
    assert (event["message"], event["log.level"], event["log.logger"]) == ("order 7 placed", "warning", "shop.orders")
    assert event["log.origin.file.name"] == "test_stdlib.py"
    assert event["log.origin.function"].startswith("test_a_stdlib_record")
    assert (event["labels"], event["numeric_labels"]) == ({"customer": "ada"}, {"total": 12.5})


def test_a_template_is_recorded_where_a_message_has_arguments(at: Desk) -> None:
    log = logging.getLogger("shop.orders")
    log.info("order %d placed with password=%s", 7, "hunter2xyz")
    log.info("order %d placed with password=%s", 8, "hunter3xyz")
    log.info("shop opened")
    log.info("%s" + "x" * 2_000, "y")
    first, second, plain, long = at.said()
    assert first["logship.message.template"] == second["logship.message.template"]
    assert first["logship.message.template"].startswith("order %d placed with password=")
    assert "logship.message.template" not in plain
    assert len(long["logship.message.template"]) == 512


def test_a_secret_in_a_template_is_redacted(at: Desk) -> None:
    logging.getLogger("shop").info("connect with password=hunter2xyz to %s", "db")
    [event] = at.said()
    assert "hunter2xyz" not in event["logship.message.template"]


def test_a_call_from_another_thread_names_the_thread(at: Desk) -> None:
    thread = threading.Thread(target=lambda: logging.getLogger("shop").info("sent"), name="mailer")
    thread.start()
    thread.join()
    logging.getLogger("shop").info("queued")
    sent, queued = at.said()
    assert sent["process.thread.name"] == "mailer"
    assert "process.thread.name" not in queued


def test_a_record_with_wrong_arguments_is_kept(at: Desk) -> None:
    record = logging.makeLogRecord({"name": "shop", "msg": "%d orders", "args": ("many",), "levelno": logging.INFO})
    stdlib.journal(record)
    assert "orders" in messages(at)[0]


def test_uvicorns_access_line_once_muted_is_not_even_prepared() -> None:
    access, kept = logging.getLogger("uvicorn.access"), Kept()
    vars(access).pop("hasHandlers", None)  # other tests of this process had an agent that acknowledged
    access.disabled = False
    access.addHandler(kept)
    try:
        assert access.hasHandlers()  # what uvicorn asks when a client connects
        stdlib.mute_access()
        assert not access.hasHandlers()
        access.error("said nevertheless")
        assert kept.messages == []
    finally:
        access.removeHandler(kept)
        access.disabled = False
        vars(access).pop("hasHandlers")


def test_an_exception_is_one_event_with_its_stack(at: Desk) -> None:
    try:
        raise LookupError("no such order")
    except LookupError:
        logging.getLogger("shop").exception("failed")
        structlog.get_logger().exception("failed too")
    first, second = at.said()
    assert first["error.type"] == second["error.type"] == "LookupError"
    assert "no such order" in first["error.stack_trace"]
    assert first["log.level"] == second["log.level"] == "error"


def test_below_the_level_nothing_is_kept(at: Desk) -> None:
    logging.getLogger("shop").debug("no")
    structlog.get_logger().debug("no")
    logship.get_logger().debug("no")
    assert at.said() == []


def test_our_own_logger_never_comes_here(at: Desk) -> None:
    logging.getLogger("logship.shipper").warning("about ourselves")
    assert at.said() == []


# Others that take hold of logging.


@pytest.mark.parametrize("disable", [True, False])
def test_a_later_dict_config_is_survived_and_its_handlers_stay(at: Desk, disable: bool) -> None:
    logging.config.dictConfig({
        "version": 1,
        "disable_existing_loggers": disable,
        "handlers": {"kept": {"()": Kept}, "alone": {"()": Kept}},
        "root": {"handlers": ["kept"], "level": "INFO"},
        "loggers": {"alone": {"handlers": ["alone"], "propagate": False, "level": "INFO"}},
    })  # fmt: skip
    root, alone = logging.getLogger(), logging.getLogger("alone")
    try:
        logging.getLogger("made.after").info("by the root")
        alone.info("by a logger that does not propagate")
        logging.getLogger("alone.child").info("by its child")
        assert messages(at) == ["by the root", "by a logger that does not propagate", "by its child"]
        [kept] = [handler for handler in root.handlers if isinstance(handler, Kept)]
        assert kept.messages == ["by the root"]
        assert [handler for handler in alone.handlers if isinstance(handler, Kept)]
        assert not logging.getLogger("logship").disabled
    finally:
        root.removeHandler(kept)
        alone.handlers.clear()
        alone.propagate = True
        for one in logging.Logger.manager.loggerDict.values():
            if isinstance(one, logging.Logger):
                one.disabled = False


def test_a_logger_that_begins_to_propagate_is_not_heard_twice(at: Desk) -> None:
    logger = logging.getLogger("moody")
    logger.addHandler(kept := Kept())
    logger.setLevel(logging.INFO)
    logger.propagate = False
    capture.reassert()
    logger.info("alone")
    logger.propagate = True
    capture.reassert()
    logger.info("with the others")
    logger.removeHandler(kept)
    assert messages(at) == ["alone", "with the others"] == kept.messages


def test_a_library_that_is_silent_by_choice_stays_silent(at: Desk) -> None:
    logger = logging.getLogger("silent")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    capture.reassert()
    logger.warning("not for you")
    logger.propagate = True
    assert messages(at) == []


class Correlates(logging.Filter):
    """Adds to each record, as asgi-correlation-id's filter does: it sits on a handler."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.correlation_id = "c-7"
        return True


class Colours(logging.Handler):
    """Changes the record for those behind it, as hasty formatters do."""

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args = f"RED {record.msg}", ()
        if "break" in record.getMessage():
            raise OSError("the terminal is gone")


def test_what_filters_of_handlers_add_is_a_label_and_what_formatters_change_is_not(at: Desk) -> None:
    logging.config.dictConfig({
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"correlation": {"()": Correlates}},
        "handlers": {"colours": {"()": Colours, "filters": ["correlation"]}},
        "loggers": {"coloured": {"handlers": ["colours"], "propagate": False, "level": "INFO"}},
    })  # fmt: skip
    logger = logging.getLogger("coloured")
    logger.info("order %d placed", 7, extra={"plan": "gold"})
    with pytest.raises(OSError, match="gone"):
        logger.info("break")
    first, second = at.said()
    assert (first["message"], first["labels"]) == ("order 7 placed", {"plan": "gold", "correlation_id": "c-7"})
    assert second["message"] == "break"


PLAIN = """
import logging, logging.config, sys
if "with" in sys.argv:
    import logship
    logship.configure()
log = logging.getLogger("shop")
logging.warning("before any configuration, and so it is made")
logging.getLogger().handlers.clear()
log.warning("by the handler of last resort")
logging.basicConfig(format="%(levelname)s %(message)s", stream=sys.stdout)
log.info("below the root's level")
log.warning("above it")
logging.getLogger().setLevel(logging.INFO)
log.info("the root was lowered by the application")
log.debug("too low for anybody")
child = logging.getLogger("shop.loud")
child.setLevel(logging.DEBUG)
child.debug("by a logger that has a level of its own")
"""


def test_what_handlers_of_the_application_print_is_what_they_printed_before(tmp_path: Path) -> None:
    out = tmp_path / "events.jsonl"

    def run(*words: str) -> tuple[bytes, bytes]:
        done = subprocess.run(
            [sys.executable, "-c", PLAIN, *words],
            env={"LOGSHIP_AGENT": f"file:{out}", "LOGSHIP_STATE_DIR": str(tmp_path / "state"), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
        )
        return done.stdout, done.stderr

    assert run("with") == run()
    said = [event["message"] for event in map(orjson.loads, out.read_bytes().splitlines()) if app_event(event)]
    assert said == [
        "before any configuration, and so it is made",
        "by the handler of last resort",
        "below the root's level",
        "above it",
        "the root was lowered by the application",
    ]


FOREIGN = """
import logging, sys
import logship
if "first" in sys.argv:
    logship.configure()

import sentry_sdk
from sentry_sdk.transport import Transport
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor, InMemoryLogRecordExporter
from loguru import logger as loguru

class Sentry(Transport):
    seen = []
    def capture_envelope(self, envelope):
        self.seen += [item.payload.json for item in envelope.items if item.type == "event"]

sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", transport=Sentry)
exporter = InMemoryLogRecordExporter()
provider = LoggerProvider()
provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
otel = LoggingHandler(logger_provider=provider)
logging.getLogger().addHandler(otel)

class Propagate(logging.Handler):
    def emit(self, record):
        logging.getLogger(record.name).handle(record)

loguru.remove()
loguru.add(Propagate(), format="{message}")

if "first" not in sys.argv:
    logship.configure()

logging.getLogger("shop").error("by stdlib")
loguru.error("by loguru")
logship.get_logger().error("by logship")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("shop").exception("by stdlib, with an exception")
sentry_sdk.flush()
provider.force_flush()
assert otel in logging.getLogger().handlers
bodies = [one.log_record.body for one in exporter.get_finished_logs()]
assert bodies == ["by stdlib", "by loguru", "by stdlib, with an exception"], bodies
assert len(Sentry.seen) == 3, Sentry.seen
logship.shutdown()
"""


@pytest.mark.parametrize("order", ["first", "last"])
def test_sentry_opentelemetry_and_loguru_keep_their_handlers_and_we_hear_all_once(tmp_path: Path, order: str) -> None:
    out = tmp_path / "events.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", FOREIGN, order],
        env={"LOGSHIP_AGENT": f"file:{out}", "LOGSHIP_STATE_DIR": str(tmp_path / "state"), "PYTHONPATH": str(ROOT),
             "LOGSHIP_SERVICE": "shop"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = [event["message"] for event in map(orjson.loads, out.read_bytes().splitlines()) if app_event(event)]
    assert said == ["by stdlib", "by loguru", "by logship", "by stdlib, with an exception"]


def app_event(event: Event) -> bool:
    return bool(event["event.dataset"] == "logship.app")


def test_a_service_that_configures_all_of_its_logging_itself_loses_nothing_under_uvicorn(tmp_path: Path) -> None:
    with Server(tmp_path, "uvicorn stubborn:app --port {port} --workers 2") as server:
        server.wait_ready(2)
        server.ask_many(6, "/log")
        server.stop()
        said = [event["message"] for event in server.events() if app_event(event)]
        assert [said.count(one) for one in ("by the root", "alone", "by structlog")] == [6, 6, 6]
        assert said.count("Application startup complete.") == 2
        assert dict(server.requests()) == dict.fromkeys(server.asked, 1)
        until(lambda: server.said().count("mine: by the root") == 6, "its own handler")
        assert server.said().count("mine: alone") == 6


def test_what_nobody_caught_is_an_event(tmp_path: Path) -> None:
    out = tmp_path / "events.jsonl"
    code = """
import asyncio, threading, warnings, logship
logship.configure()
warnings.warn("old ways", DeprecationWarning, stacklevel=1)
side = threading.Thread(target=lambda: 1 / 0, name="side")
side.start()
side.join()
async def main():
    asyncio.get_running_loop().call_soon(lambda: [][1])
    await asyncio.sleep(0.01)
async def served():
    from logship.worker import event_loop, registry
    event_loop.watch(registry.current())
    await main()
asyncio.run(served())
class Bad:
    def __del__(self): raise OSError("in a finaliser")
Bad()
raise KeyError("at last")
"""
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code],
        env={"LOGSHIP_AGENT": f"file:{out}", "LOGSHIP_STATE_DIR": str(tmp_path / "state"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "KeyError: 'at last'" in done.stderr  # the hooks that were there still speak
    events = [event for event in map(orjson.loads, out.read_bytes().splitlines()) if app_event(event)]
    assert [event.get("error.type") for event in events] == [
        None,
        "ZeroDivisionError",
        "IndexError",
        "OSError",
        "KeyError",
    ]
    assert "old ways" in events[0]["message"]
    assert "side" in events[1]["message"]
