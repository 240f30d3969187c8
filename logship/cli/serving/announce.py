"""What a serving process says at its start: where it listens, what it keeps, and what to do next."""

import logging
import sys
from pathlib import Path

from logship.cli.output import talk
from logship.cli.rows import Form, show
from logship.settings import Settings

NEXT = """
next, in another terminal:
  logship run uvicorn shop:app --workers 4     your service, unchanged
  logship tail                                 events as they arrive
  logship workers                              the load of each worker
"""
RETENTION_SETTINGS = "LOGSHIP_RETENTION_DAYS, LOGSHIP_RETENTION_BYTES, LOGSHIP_RETENTION_DISK_PERCENT"


def log_to_stderr() -> None:
    """Print our own log as sentences; warnings and errors begin with their level."""
    for level, word in ((logging.INFO, ""), (logging.WARNING, "warning: "), (logging.ERROR, "error: ")):
        logging.addLevelName(level, word)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s%(message)s", stream=sys.stderr)
    logging.getLogger("logship").setLevel(logging.INFO)


def announce_collector(settings: Settings, addresses: list[str], url: str | None, form: Form | None) -> None:
    """Say where the collector listens and what its store keeps."""
    if form == "json":
        _print_json({"forward": addresses, "http": url, "store": settings.store_dir})
        return
    talk(f"collecting  {', '.join(addresses) or 'off'}")
    talk(f"HTTP        {url or 'off'}")
    talk(f"store       {settings.store_dir}")
    talk(f"retention   {_retention(settings)}")
    talk(NEXT)


def announce_page(url: str, form: Form | None) -> None:
    """Say where the page is."""
    if form == "json":
        _print_json({"http": url})
    else:
        talk(f"HTTP        {url}")


def _retention(settings: Settings) -> str:
    """What the store keeps, and the settings that decide it."""
    from logship.store.write.retention import Retention

    retention = Retention(0, settings.retention_bytes, settings.retention_disk_percent)
    limit_bytes = retention.most_bytes(Path(settings.store_dir))
    limits = [f"{settings.retention_days:g} days"] * bool(settings.retention_days)
    limits += [f"{limit_bytes / 2**30:.1f} GiB"] * bool(limit_bytes)
    if not limits:
        return "unlimited; when the disk is full, no more events are accepted"
    return f"{' or '.join(limits)}, whichever comes first; older events are deleted ({RETENTION_SETTINGS})"


def _print_json(places: dict[str, object]) -> None:
    show([places], (), "json")
    sys.stdout.flush()
