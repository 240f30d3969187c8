"""A shop that configures all of its logging itself, after the import, with old habits."""

import logship.auto  # noqa: F401

# isort: split

import logging
import logging.config

import structlog

from tests.worker.shops import plain

logging.config.dictConfig({
    "version": 1,
    "disable_existing_loggers": True,
    "formatters": {"mine": {"format": "mine: %(message)s"}},
    "handlers": {"mine": {"class": "logging.StreamHandler", "formatter": "mine"}},
    "root": {"handlers": ["mine"], "level": "INFO"},
    "loggers": {
        "alone": {"handlers": ["mine"], "propagate": False, "level": "INFO"},
        "uvicorn": {"handlers": ["mine"], "propagate": False, "level": "INFO"},
        "uvicorn.error": {"level": "INFO"},
    },
})  # fmt: skip
structlog.configure(processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.PrintLoggerFactory())


async def app(scope: plain.Scope, receive: plain.Receive, send: plain.Send) -> None:
    """`/log` logs three lines in three ways."""
    if scope["type"] == "http":
        logging.getLogger("shop").info("by the root")
        logging.getLogger("alone").info("alone")
        structlog.get_logger().info("by structlog")
    await plain.app({**scope, "path": "/"} if scope["type"] == "http" else scope, receive, send)
