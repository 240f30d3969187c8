"""Builds the pipeline of a process, in the order in which events pass its parts. The only place that does."""

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from logship.errors import StateUnusable
from logship.event.build import Worker
from logship.settings import Settings, no_color
from logship.state import home
from logship.state.identity import Facts
from logship.state.journal import Journal
from logship.state.processes import boot_id
from logship.worker import exit_hooks, registry
from logship.worker.capture import stdlib
from logship.worker.heartbeat import Heartbeat
from logship.worker.level_watch import LevelWatch
from logship.worker.metrics.endpoint import MetricsEndpoint
from logship.worker.metrics.keeper import MetricKeeper
from logship.worker.pipeline import Pipeline, facts_of
from logship.worker.shipping.agent import ForwardAgent
from logship.worker.shipping.bundle import Feed
from logship.worker.shipping.console import Console
from logship.worker.shipping.journal_feed import JournalFeed
from logship.worker.shipping.orphan_feed import OrphanFeed
from logship.worker.shipping.orphans import OrphanFinder, StateLimit
from logship.worker.shipping.outlet import NoAgent, Outlet
from logship.worker.shipping.refused import RefusedRecords
from logship.worker.shipping.render import json_line, pretty_line
from logship.worker.shipping.shipper import PeriodicTask, Shipper
from logship.worker.shipping.sink import LineSink
from logship.worker.slot_watch import SlotWatch

# A change of these settings needs a new shipping thread.
SHIPPER_SETTINGS = (
    "agent",
    "agent_shared_key",
    "agent_user",
    "agent_password",
    "agent_ca_file",
    "ack_timeout_seconds",
    "heartbeat_seconds",
    "console",
    "mute_access",
    "metrics",
)

_logger = logging.getLogger("logship")
_warned_in_memory = False


def make_pipeline(settings: Settings) -> Pipeline:
    """Return a new pipeline whose shipping thread runs. OSError if not even a journal in memory can be made."""
    state, why_in_memory = _open_home(settings)
    worker = worker_of(settings)
    journal = _journal(state, facts_of(settings, worker, boot_id()), settings)
    if journal.directory is None:
        why_in_memory = why_in_memory or "the disk is full"
    worker = replace(worker, incarnation=journal.incarnation)
    pipeline = Pipeline(settings, journal, worker, state.slots if state is not None else None, why_in_memory)
    with contextlib.suppress(OSError):
        journal.prepare()
    start_shipper(pipeline)
    exit_hooks.at_child_exit()
    return pipeline


def start_shipper(pipeline: Pipeline) -> None:
    """Give `pipeline` a new shipping thread and start it."""
    pipeline.shipper = _shipper(pipeline)
    pipeline.shipper.start()


def replace_shipper(pipeline: Pipeline) -> None:
    """End the shipping thread of `pipeline` and start one with its current settings."""
    if pipeline.shipper is not None:
        pipeline.shipper.end()
    start_shipper(pipeline)


def worker_of(settings: Settings) -> Worker:
    """Return what each event of this process says about it; without an incarnation, which its journal gives it."""
    return Worker(
        incarnation="",
        service=settings.service,
        host=socket.gethostname(),
        pid=os.getpid(),
        supervisor=os.getppid(),
        instance=settings.instance,
        version=settings.version,
        environment=settings.environment,
        role=registry.role,
    )


def _open_home(settings: Settings) -> tuple[home.Home | None, str]:
    """Return (state directory, ""), or None and why there is none."""
    global _warned_in_memory
    try:
        return home.open_home(Path(settings.state_dir)), ""
    except StateUnusable as error:
        if not _warned_in_memory:
            _warned_in_memory = True
            _logger.warning("%s. The journal is in memory: events are lost if this process dies", error)
        return None, str(error)


def _journal(state: home.Home | None, facts: Facts, settings: Settings) -> Journal:
    if state is not None:
        try:
            return Journal(state.journals, facts, settings.journal_limit_bytes)
        except OSError as error:
            _logger.warning(
                "cannot create a journal in %s (%s); it is in memory until the next start", state.path, error.strerror
            )
    return Journal(None, facts, settings.journal_limit_bytes)


def _shipper(pipeline: Pipeline) -> Shipper:
    settings, journal = pipeline.settings, pipeline.journal
    state = home.home_of(journal.directory) if journal.directory is not None else None
    refused = RefusedRecords(journal, state.refused if state is not None else None)
    feed = JournalFeed(journal, refused)
    tasks: list[PeriodicTask] = [
        Heartbeat(pipeline, settings.heartbeat_seconds),
        SlotWatch(pipeline),
        MetricKeeper(pipeline),
        LevelWatch(pipeline),
    ]
    if state is not None and settings.agent != "off":
        finder = OrphanFinder(state)
        orphans = OrphanFeed(pipeline, finder, refused.keep)
        feed.orphans = orphans.next
        tasks += [StateLimit(pipeline, finder), orphans]
    if settings.metrics != "off":
        tasks.append(MetricsEndpoint(pipeline, settings.metrics))
    if _shows_console(settings):
        with contextlib.suppress(OSError):  # stderr is closed
            tasks.append(Console(JournalFeed(journal, refused), _colored()))
    return Shipper(journal, feed, _outlet(settings, feed), tasks, settings.agent)


def _outlet(settings: Settings, feed: Feed) -> Outlet:
    kind, _, path = settings.agent.partition(":")
    on_first_ack: Callable[[], object] = stdlib.mute_access if settings.mute_access else int
    if settings.agent == "off":
        return NoAgent()
    if settings.agent == "stdout":
        return LineSink(feed, "stdout", json_line, on_first_ack)
    if settings.agent == "console":
        return LineSink(feed, "stderr", partial(pretty_line, color=_colored()), on_first_ack)
    if kind == "file":
        return LineSink(feed, path, json_line, on_first_ack)
    return ForwardAgent(settings, feed, on_first_ack)


def _shows_console(settings: Settings) -> bool:
    """Whether events are shown on stderr beside the agent."""
    return settings.agent != "console" and (settings.console == "on" or (settings.console == "auto" and _is_terminal()))


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _colored() -> bool:
    return _is_terminal() and not no_color()
