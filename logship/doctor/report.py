"""All checks of `logship doctor`, in the order in which events travel: settings, journals, agent, store."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from logship.connect.source import collector_url, listens
from logship.doctor import agent, elasticsearch, fluent_bit, journals, source, state_directory
from logship.doctor import settings as settings_checks
from logship.doctor.check import Check
from logship.errors import LogshipError
from logship.settings import Settings, host_and_port


def report(settings: Settings, send: bool, announce: Callable[[str], None]) -> list[Check]:
    """Return the results of all checks. `send`: send one test event through the agent; `announce` is called before it.

    Never raises LogshipError or OSError: a check that fails to run is reported as a wrong one."""
    if elastic_is_the_source(settings):
        settings = replace(settings, source="elastic")
    to_elastic = settings.source == "elastic"
    subjects: tuple[Callable[[], Iterator[Check]], ...] = (
        lambda: settings_checks.checks(settings),
        lambda: state_directory.checks(settings),
        lambda: agent.checks(settings, send and not to_elastic, announce),
        lambda: fluent_bit.checks(settings),
        lambda: journals.checks(settings),
        lambda: elasticsearch.checks(settings) if send and to_elastic else iter(()),
        lambda: source.checks(settings),
    )
    return [check for subject in subjects for check in _guarded(subject)]


def elastic_is_the_source(settings: Settings) -> bool:
    """Return whether the events of this machine go to Elasticsearch although no source is named.

    That is so if LOGSHIP_ELASTIC_URL is set and no local collector runs, which would be the agent instead of Fluent Bit."""
    if settings.source or "elastic_url" not in settings.origins:
        return False
    url = collector_url(settings)
    return not url or not listens(*host_and_port(url.partition("://")[2], "http"))


def _guarded(subject: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from subject()
    except (LogshipError, OSError) as error:
        yield Check("wrong", "check", str(error))
