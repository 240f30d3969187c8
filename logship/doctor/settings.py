"""Settings: combinations and values that are valid but do not work well."""

from collections.abc import Iterator

from logship.doctor.check import Check
from logship.settings import Settings

SEGMENT_BYTES = 2**20
# Longer than this without a heartbeat, a worker is shown as silent.
SILENT_SECONDS = 25


def checks(settings: Settings) -> Iterator[Check]:
    """Yield one check for each problem, or a good one."""
    problems = list(_problems(settings))
    for problem, advice in problems:
        yield Check("look", "settings", problem, advice)
    if not problems:
        from_environment = [name for name, origin in settings.origins.items() if origin == "environment"]
        count = len(from_environment)
        yield Check("good", "settings", f"{count} from the environment" if count else "all at their defaults")


def _problems(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.journal_limit_bytes > settings.state_limit_bytes:
        yield "journal_limit_bytes is more than state_limit_bytes", "raise LOGSHIP_STATE_LIMIT_BYTES"
    if settings.journal_limit_bytes < 4 * SEGMENT_BYTES:
        yield "journal_limit_bytes is less than four segments of 1 MiB", "raise LOGSHIP_JOURNAL_LIMIT_BYTES"
    if settings.sample_ratio == 0:
        yield "sample_ratio is 0: only errors and slow requests are kept", "raise LOGSHIP_SAMPLE_RATIO"
    if settings.agent_user and not settings.agent_shared_key:
        yield "agent_user has no effect without a shared key", "set LOGSHIP_AGENT_SHARED_KEY"
    if settings.heartbeat_seconds > SILENT_SECONDS:
        yield (
            f"with a heartbeat every {settings.heartbeat_seconds:g} s, workers are shown as silent after {SILENT_SECONDS} s",
            "lower LOGSHIP_HEARTBEAT_SECONDS to 10",
        )
    if settings.agent == "off":
        yield "agent is off: workers keep no events", "unset LOGSHIP_AGENT"
