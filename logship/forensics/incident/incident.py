"""What happened in a window: what differs from the time before, the causes first."""

from dataclasses import dataclass
from typing import Any

from logship.errors import QuestionError, SourceError
from logship.forensics.annotations import Annotation, annotations
from logship.forensics.delivery import Delivery, delivery
from logship.forensics.incident import processes, requests, texts
from logship.forensics.incident.clock import Clock, clock
from logship.forensics.incident.counted import Counted, counted
from logship.forensics.incident.finding import Outlier, ranked
from logship.forensics.incident.levels import Level, levels
from logship.forensics.incident.together import together
from logship.forensics.verify import set_aside, verify
from logship.search.query import Query, Source
from logship.search.times import rfc3339

NO_BASELINE = "The baseline has no requests: only changes within the window could be found."


@dataclass(frozen=True, slots=True)
class IncidentReport:
    """`findings`: the cause first, [] when nothing stands out. `requests`: of the window and of its baseline.

    `annotations`: of the window and of all services.
    `levels`: how the services of the findings changed as a whole; [] without findings. `not_compared`: what could not be
    compared and why, "" if all was; `sentence` ends with it."""

    clock: Clock
    delivery: Delivery
    annotations: list[Annotation]
    findings: list[Outlier]
    levels: list[Level]
    requests_before: int
    requests_after: int
    sentence: str
    not_compared: str = ""


def incident(source: Source, query: Query, now_ns: int, baseline: Query | None = None) -> IncidentReport:
    """Return what stands out in `query`, whose times must be set, against `baseline`: by default the time before it.

    The parts of the window in which nothing happens count as baseline too."""
    times = clock(query, baseline)
    numbers = counted(source, times)
    verdicts = verify(source, query, now_ns)
    messages, not_compared = _new_messages(numbers)
    requests.read_wide(numbers)
    findings = [
        *processes.deaths(source, times), *processes.gaps(times, verdicts), *processes.drops(source, times),
        *processes.stalls(source, times), *requests.failing(numbers), *requests.slow(numbers), *requests.status(numbers),
        *requests.imbalance(numbers), *requests.floods(numbers), *requests.drop(numbers), *texts.new_errors(numbers),
        *messages,
    ]  # fmt: skip
    listed = ranked(together(findings, processes.versions(numbers)))
    before, after = numbers.requests.sides((), lambda start_ns: int(start_ns >= times.since_ns)).get((), [0, 0])
    if after and not before:
        not_compared = " ".join(filter(None, (NO_BASELINE, not_compared)))
    evidence = delivery(verdicts, set_aside(source, query))
    changed = levels(numbers, _services(numbers, listed)) if listed else []
    sentence = " ".join(filter(None, (_sentence(listed, before, after), not_compared)))
    return IncidentReport(times, evidence, annotations(source, query), listed, changed, before, after, sentence, not_compared)


def _new_messages(numbers: Counted) -> tuple[list[Outlier], str]:
    """New warnings and errors, and why they are not known, "" if they are. The rest of a report does not depend on them."""
    try:
        return texts.new_patterns(numbers), ""
    except (QuestionError, SourceError) as error:
        return [], f"The texts of warnings and errors were not compared: {error}."


def _services(numbers: Counted, findings: list[Outlier]) -> list[str]:
    """The services of the findings; all services, those with most requests first, if a finding names none."""
    named = [finding.service for finding in findings]
    if all(named):
        return named
    series = numbers.series(numbers.requests, ("service.name",))
    return [*filter(None, named), *(service for (service,), _ in sorted(series.items(), key=lambda item: -sum(item[1])))]


def incident_json(source: Source, query: Query, now_ns: int, baseline: Query | None = None) -> dict[str, Any]:
    """Return the incident of a window as the JSON that `logship incident --json` prints."""
    return as_json(incident(source, query, now_ns, baseline))


def as_json(report: IncidentReport) -> dict[str, Any]:
    """Return the report as documented in docs/after-an-incident.md."""
    window, baseline, evidence = report.clock.window, report.clock.baseline, report.delivery
    return {
        "window": _span(window, report.requests_after),
        "baseline": _span(baseline, report.requests_before),
        "evidence": {
            "finding": evidence.finding, "sentence": evidence.sentence, "stored": evidence.stored, "missing": evidence.missing,
            "dropped": evidence.dropped,
        },
        "annotations": [annotation.as_json() for annotation in report.annotations],
        "levels": [level.as_json() for level in report.levels],
        "findings": [finding.as_json(rank) for rank, finding in enumerate(report.findings, 1)],
        "sentence": report.sentence,
    }  # fmt: skip


def _span(query: Query, requests_: int) -> dict[str, Any]:
    return {"since": rfc3339(query.since_ns or 0), "until": rfc3339(query.until_ns or 0), "requests": requests_}


def _sentence(findings: list[Outlier], requests_before: int, requests_after: int) -> str:
    if findings:
        return f"{len(findings)} finding{'s' * (len(findings) > 1)}."
    if not requests_after:
        return "No requests in this window: nothing was compared."
    if not requests_before:
        return "Nothing stands out: the traffic did not change within the window, and no worker crashed."
    return "Nothing stands out: no part of the traffic differs significantly from the baseline, and no worker crashed."
