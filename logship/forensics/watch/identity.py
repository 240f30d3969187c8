"""Whether two findings are the same matter, seen in two windows: a later window may name it better, or by its cause."""

import json

from logship.forensics.incident.finding import Outlier
from logship.forensics.incident.together import together
from logship.search.times import SECOND_NS

# Two findings of a kind that name different fields are one matter if they begin so close together.
SAME_BEGIN_NS = 180 * SECOND_NS


def key(finding: Outlier) -> str:
    """Return the identity of a finding: kind, service, worker and fields. Times and numbers change from window to window."""
    return json.dumps([finding.kind, finding.service, finding.worker, sorted(finding.fields.items())])


def related(known: Outlier, finding: Outlier) -> bool:
    """Return whether one is the consequence of the other, or names the same part of the traffic more closely."""
    if known.service and finding.service and known.service != finding.service:
        return False
    shared = set(known.fields) & set(finding.fields)
    if {known.kind, finding.kind} == {"failing", "new_error"} and all(known.fields[n] == finding.fields[n] for n in shared):
        return True  # also if a first error of this class came well before the others
    if len(together([known, finding], ())) < 2:
        return True
    same_kind = known.kind == finding.kind or "deploy" in (known.kind, finding.kind)
    return same_kind and (_narrows(known, finding) or _narrows(finding, known))


def other_name(known: Outlier, finding: Outlier) -> bool:
    """Return whether they may be one matter by two names: the same kind and begin, and no field in common."""
    close = abs(known.began[0] - finding.began[0]) <= SAME_BEGIN_NS
    return known.kind == finding.kind and close and not set(known.fields) & set(finding.fields)


def _narrows(finding: Outlier, other: Outlier) -> bool:
    return bool(other.fields) and other.fields.items() <= finding.fields.items()
