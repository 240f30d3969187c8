"""The pipeline of this process: at most one, created with the first event, replaced after a fork.

`configure` installs the function that creates it. Thread-safe."""

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator

from logship.worker.fork import around_forks
from logship.worker.pipeline import Pipeline

# The pipeline, or None before the first event. RequestLog reads it directly: a call takes longer.
pipeline: Pipeline | None = None
# What this process is for, until it serves: process or supervisor.
role = "process"

_create: Callable[[], Pipeline] | None = None
_lock = threading.RLock()
_creating_thread = 0
_reported_failure = False


def current() -> Pipeline | None:
    """Return the pipeline of this process, created now if necessary. Never raises.

    None before `configure`, while the pipeline is being created, and if it cannot be created."""
    return pipeline if pipeline is not None else _open()


def existing() -> Pipeline | None:
    """Return the pipeline of this process if it was created already, else None."""
    return pipeline


def is_configured() -> bool:
    """Return whether `configure` was called, so that `current` creates a pipeline."""
    return _create is not None


def _open() -> Pipeline | None:
    global pipeline, _creating_thread, _reported_failure
    if _create is None or _creating_thread == threading.get_ident():
        return None
    with _lock:
        if pipeline is None:
            _creating_thread = threading.get_ident()
            try:
                pipeline = _create()
            except Exception:
                # No file descriptors are left, for example. A log call must not raise: the next one tries again.
                if not _reported_failure:
                    _reported_failure = True
                    logging.getLogger("logship").exception("cannot create the journal; events are lost until it can be created")
            finally:
                _creating_thread = 0
        return pipeline


def set_role(name: str) -> None:
    """Set what this process is for: its events carry it until the process serves. A forked child starts as "process"."""
    global role
    role = name
    if pipeline is not None and pipeline.server is None:
        pipeline.set_role(name)


def install(create: Callable[[], Pipeline] | None) -> None:
    """Set the function that creates the pipeline from now on. An existing pipeline stays."""
    global _create
    _create = create


@contextlib.contextmanager
def replaced(replacement: Pipeline) -> Iterator[None]:
    """Make `replacement` the pipeline of this process until the block ends. A `configure` call in the block stays in force."""
    global pipeline, _create

    def create() -> Pipeline:
        return replacement

    before, create_before = pipeline, _create
    pipeline, _create = replacement, create
    try:
        yield
    finally:
        pipeline = before
        if _create is create:
            _create = create_before


def forget() -> None:
    """Forget the pipeline of this process, without closing it. For a forked child, and for tests."""
    global pipeline, _lock, _creating_thread, role
    pipeline = None
    role = "process"
    _creating_thread = 0
    _lock = threading.RLock()


def _before_fork() -> None:
    if pipeline is not None and pipeline.shipper is not None:
        pipeline.shipper.pause()


def _after_fork() -> None:
    if pipeline is not None and pipeline.shipper is not None:
        pipeline.shipper.resume()


os.register_at_fork(after_in_child=forget)
around_forks(_before_fork, _after_fork)
