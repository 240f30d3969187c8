"""What a round of the watch reports: findings that began, and known ones that ended. Each once.

A finding that was seen once may be chance, or events that arrive late: it is reported when a second round has it, or when it
is already old. It has ended when it was not so for `QUIET_NS`; until then a begin is not another one."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b

from logship.forensics.incident.finding import Outlier
from logship.forensics.watch.identity import key, other_name, related
from logship.forensics.watch.memory import Known, Memory, Notice
from logship.search.times import SECOND_NS

MINUTE_NS = 60 * SECOND_NS
# A finding that is over and begins again within this time has not ended.
QUIET_NS = 5 * MINUTE_NS
# A finding that began so long ago was not made by the edge of the window.
SURE_NS = 2 * MINUTE_NS
# A crash is an event, not a change of numbers.
SURE_AT_ONCE = ("death",)
# A window never begins earlier: what lasts longer is the usual state.
LONGEST_NS = 6 * 3600 * SECOND_NS
# An ended finding is known until no window has a part of it.
KEPT_NS = LONGEST_NS + 3600 * SECOND_NS


def judge(memory: Memory, findings: Sequence[Outlier], now_ns: int) -> tuple[Memory, list[Notice]]:
    """Return the memory after a round, and what it reports. `now_ns`: the end of the round's window."""
    known, seen = list(memory.known), set[str]()
    for finding in findings:
        at = _place(known, finding, seen)
        if at is None:
            known.append(_first_seen(finding, now_ns))
        else:
            known[at] = _seen_again(known[at], finding, now_ns)
        seen.add(known[-1 if at is None else at].id)
    before = {entry.id for entry in memory.known}
    notices: list[Notice] = []
    kept: list[Known] = []
    for entry in known:
        if entry.reported or entry.id in seen:  # what was in one round only is forgotten
            after = _reported(entry, now_ns, notices, again=entry.id in before)
            if not after.over or now_ns - after.lasted_ns < KEPT_NS:
                kept.append(after)
    return replace(memory, round_ns=now_ns, known=tuple(kept)), notices


def _reported(entry: Known, now_ns: int, notices: list[Notice], *, again: bool) -> Known:
    """The entry after what there is to report about it was added to `notices`. `again`: an earlier round had it too."""
    if not entry.reported and (again or entry.finding.kind in SURE_AT_ONCE or now_ns - entry.began_ns >= SURE_NS):
        notices.append(Notice("began", entry.id, now_ns, entry.finding, entry.began_ns))
        entry = replace(entry, reported=True)
    if entry.reported and not entry.over and now_ns - entry.lasted_ns >= QUIET_NS:
        usual = now_ns - entry.began_ns >= LONGEST_NS
        notices.append(Notice("ended", entry.id, now_ns, entry.finding, entry.began_ns, entry.lasted_ns, usual))
        entry = replace(entry, over=True)
    return entry


def _place(known: Sequence[Known], finding: Outlier, seen: set[str]) -> int | None:
    """The index of the known finding that this one is, None for a new one."""
    own = key(finding)
    near = [(at, entry) for at, entry in enumerate(known) if _near(entry, finding)]
    for at, entry in near:
        if own in entry.keys:
            return at
    for at, entry in near:
        if related(entry.finding, finding):
            return at
    return next((at for at, entry in near if entry.id not in seen and other_name(entry.finding, finding)), None)


def _near(entry: Known, finding: Outlier) -> bool:
    """Whether a finding began before the known one had ended for long, and does not continue long after its reported end."""
    if finding.began[0] > entry.lasted_ns + QUIET_NS:
        return False
    if finding.ended is not None and finding.ended[1] < entry.began_ns - QUIET_NS:
        return False
    return not entry.over or (finding.ended is not None and finding.ended[1] <= entry.lasted_ns + QUIET_NS)


def _first_seen(finding: Outlier, now_ns: int) -> Known:
    own = key(finding)
    id_ = blake2b(f"{own}{finding.began[0]}".encode(), digest_size=8).hexdigest()
    return Known(id_, finding, (own,), finding.began[0], _lasted_ns(finding, now_ns))


def _seen_again(entry: Known, finding: Outlier, now_ns: int) -> Known:
    own = key(finding)
    keys = entry.keys if own in entry.keys else (*entry.keys, own)
    lasted_ns = max(entry.lasted_ns, _lasted_ns(finding, now_ns))
    return replace(entry, finding=entry.finding if entry.over else finding, keys=keys, lasted_ns=lasted_ns)


def _lasted_ns(finding: Outlier, now_ns: int) -> int:
    return now_ns if finding.ended is None else finding.ended[1]
