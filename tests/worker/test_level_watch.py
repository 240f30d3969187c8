"""The level of a running worker follows `logship level`, for all loggers or one, and goes back by itself."""

import logging
import time
from pathlib import Path

import logship
from logship.state import levels
from logship.state.levels import LevelOverride
from tests.worker.driving import Desk, desk
from tests.worker.serving import until

SECOND_NS = 10**9


def logged(worker: Desk) -> list[str]:
    return [event["message"] for event in worker.events() if event["log.logger"] != "logship"]


def follows(worker: Desk, message: str) -> None:
    """Wait until the worker has followed."""
    until(lambda: message in logged(worker), message)


def test_the_level_follows_and_goes_back(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with desk(state) as worker:
        worker.pipeline()
        own, other = logging.getLogger("shop.db"), logship.get_logger("shop")
        own.debug("unheard")
        levels.add(state, LevelOverride("debug", time.time_ns() + 3600 * SECOND_NS), time.time_ns())
        follows(worker, "log level set to debug by logship level")
        own.debug("heard %d", 1)
        other.debug("heard 2")
        levels.add(state, LevelOverride("info", 0), time.time_ns())
        follows(worker, "log level is info again")
        own.debug("unheard")
        other.debug("unheard")
        assert logged(worker) == ["log level set to debug by logship level", "heard 1", "heard 2", "log level is info again"]


def test_one_logger_follows(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with desk(state) as worker:
        level = logging.getLogger("shop.sql").level
        override = LevelOverride("debug", time.time_ns() + 3600 * SECOND_NS, "shop", None, "shop.sql")
        worker.pipeline()
        levels.add(state, override, time.time_ns())
        follows(worker, "log level of logger shop.sql set to debug by logship level")
        logging.getLogger("shop.sql").debug("query")
        logging.getLogger("shop.sql.pool").debug("pool")
        logging.getLogger("shop.web").debug("unheard")
        levels.add(state, LevelOverride("info", 0, "shop", None, "shop.sql"), time.time_ns())
        follows(worker, "log level of logger shop.sql is info again")
        logging.getLogger("shop.sql").debug("unheard")
        assert logged(worker) == [
            "log level of logger shop.sql set to debug by logship level",
            "query",
            "pool",
            "log level of logger shop.sql is info again",
        ]
        assert logging.getLogger("shop.sql").level == level


def test_an_override_for_another_worker_changes_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with desk(state) as worker:
        worker.pipeline()
        levels.add(state, LevelOverride("debug", time.time_ns() + SECOND_NS * 60, "bank"), time.time_ns())
        levels.add(state, LevelOverride("error", time.time_ns() + SECOND_NS * 60, "shop", None, "else"), time.time_ns())
        follows(worker, "log level of logger else set to error by logship level")
        logging.getLogger("shop").debug("unheard")
        logging.getLogger("shop").info("heard")
        assert logged(worker)[1:] == ["heard"]
