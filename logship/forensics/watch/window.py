"""The time that a round of the watch looks at: the newest half hour, and as far back as there is something open."""

from logship.forensics.watch.judge import LONGEST_NS, MINUTE_NS
from logship.forensics.watch.memory import Memory
from logship.search.kql import Node
from logship.search.query import Query

WINDOW_NS, BASELINE_NS = 30 * MINUTE_NS, 60 * MINUTE_NS
# Before an open finding, so that its begin is not the begin of the window.
MARGIN_NS = 5 * MINUTE_NS


def window_of(memory: Memory, now_ns: int, where: Node | None = None) -> tuple[Query, Query]:
    """Return the window that ends at `now_ns`, and its baseline, the hour before it.

    The window has all open findings, also their begin: else the baseline would have them, and they would count as usual. It has
    the time since the last round, also if the watch did not run for hours."""
    open_ns = [entry.began_ns for entry in memory.known if not entry.over]
    last_ns = [memory.round_ns] if memory.round_ns else []
    since_ns = min([now_ns - WINDOW_NS, *(time_ns - MARGIN_NS for time_ns in (*open_ns, *last_ns))])
    since_ns = max(since_ns, now_ns - LONGEST_NS)
    return Query(where, since_ns, now_ns), Query(where, since_ns - BASELINE_NS, since_ns)
