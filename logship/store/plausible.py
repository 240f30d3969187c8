"""Plausible times of events. A clock that was never set says 1970 or 2000, and others are far in the future."""

DAY_NS = 86_400 * 10**9
_FROM_NS = 978_307_200 * 10**9  # 2001
_AHEAD_NS = DAY_NS


def plausible(now_ns: int) -> tuple[int, int]:
    """Return the first and the last plausible time of an event: 2001, and a day after `now_ns`."""
    return _FROM_NS, now_ns + _AHEAD_NS
