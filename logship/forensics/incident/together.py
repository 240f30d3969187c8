"""Findings that belong together: a consequence of a finding is not a second one, and a version that brought it is its cause."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from logship.forensics.finding import short
from logship.forensics.incident.finding import Outlier
from logship.forensics.incident.processes import NewVersion
from logship.search.kql import equal, every, parse, text_of
from logship.search.times import SECOND_NS
from logship.search.units import duration
from logship.search.views import NODE

# A consequence begins at most so long after its cause, and at most a bucket or two before it.
AFTER_NS, BEFORE_NS = 60 * SECOND_NS, 25 * SECOND_NS
# What begins within this time after a version started may be caused by it.
DEPLOY_NS = 6 * 60 * SECOND_NS
# Kinds that the first may cause within its time.
CONSEQUENCES: Mapping[str, frozenset[str]] = {
    "death": frozenset({"imbalance", "slow", "failing", "traffic", "new_error"}),
    "deploy": frozenset({"imbalance", "slow", "failing", "new_error", "status", "traffic"}),
    "stall": frozenset({"slow", "imbalance"}),
    "failing": frozenset({"new_error", "slow", "status", "traffic", "failing"}),
    "slow": frozenset({"slow"}),
    "traffic": frozenset({"slow"}),
    "imbalance": frozenset({"slow", "traffic"}),
}


def together(findings: Sequence[Outlier], versions: Sequence[NewVersion]) -> list[Outlier]:
    """Return the findings without consequences of others; a version that brought a finding makes it a deploy."""
    caused = [_with_version(finding, versions) for finding in findings]
    return [finding for finding in caused if not any(_causes(other, finding) for other in caused)]


def _causes(cause: Outlier, other: Outlier) -> bool:
    if cause is other or other.kind not in CONSEQUENCES.get(cause.kind, ()):
        return False
    if cause.kind == other.kind and cause.strength <= other.strength:
        return False
    if not _during(cause, other):
        return False
    if cause.kind in ("deploy", "traffic"):
        return True
    return _same_place(cause, other)


def _during(cause: Outlier, other: Outlier) -> bool:
    """Whether the other finding begins while the cause lasts, or shortly after it began."""
    end_ns = cause.ended[1] if cause.ended else other.began[0]
    return cause.began[0] - BEFORE_NS <= other.began[1] and other.began[0] <= max(end_ns, cause.began[1] + AFTER_NS)


def _same_place(cause: Outlier, other: Outlier) -> bool:
    """Whether the two do not name different values of a field: a route and a worker may be one matter, two routes are two."""
    if cause.kind == "death":
        return other.began[0] <= cause.began[1] + AFTER_NS and _short(other)
    shared = set(cause.fields) & set(other.fields)
    if any(cause.fields[name] != other.fields[name] for name in shared):
        return False
    return bool(shared) or not cause.fields or not other.fields or (cause.kind, other.kind) == ("failing", "new_error")


def _short(finding: Outlier) -> bool:
    return finding.ended is not None and finding.ended[1] - finding.began[0] <= 2 * AFTER_NS


def _with_version(finding: Outlier, versions: Sequence[NewVersion]) -> Outlier:
    """The finding, as a deploy if it began after a version started and concerns only workers with that version."""
    if finding.kind not in ("failing", "slow", "new_error", "status"):
        return finding
    for version in versions:
        begins = version.first_ns - BEFORE_NS <= finding.began[1] and finding.began[0] <= version.first_ns + DEPLOY_NS
        ends_ns = finding.ended[0] if finding.ended else finding.began[1]
        named = finding.fields.get("service.version") == version.version
        on_these = finding.worker in version.workers if finding.worker else version.last_ns >= ends_ns - BEFORE_NS
        if named or (begins and on_these):
            return _deploy(finding, version)
    return finding


def _deploy(finding: Outlier, version: NewVersion) -> Outlier:
    on = f" on {short(version.workers[0])}" if len(version.workers) == 1 else ""
    later = max(0, finding.began[0] - version.first_ns)
    when = f"{duration(later)} after" if later >= SECOND_NS else "when"
    sentence = f"{finding.sentence.rstrip('.')}; began {when} version {version.version} started{on} (before: {version.before})."
    fields = {**finding.fields, "service.version": version.version}
    worker = finding.worker or (version.workers[0] if len(version.workers) == 1 else "")
    if worker:
        fields[NODE] = worker
    query = text_of(every(parse(finding.query), equal("service.version", version.version)))
    return replace(finding, kind="deploy", sentence=sentence, fields=fields, worker=worker, query=query)
