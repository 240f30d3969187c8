"""Numbers as people read them: durations, sizes, counts and shares. One formatter of each, for every command and page."""

_LONG = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s"))


def duration(ns: float) -> str:
    """Return nanoseconds with a unit: 950 us, 12.3 ms, 268 ms, 3.41 s, 10 s, 2 min 5 s, 3 h, 5 d 4 h."""
    if ns < 1e6:
        return f"{ns / 1e3:.0f} us"
    if ns < 1e9:
        return f"{ns / 1e6:.{int(ns < 99.95e6)}f} ms"
    seconds = int(ns / 1e9)
    for whole, unit, part, smaller in _LONG:
        if seconds >= whole:
            rest = seconds % whole // part
            return f"{seconds // whole} {unit}" + f" {rest} {smaller}" * bool(rest)
    return f"{ns / 1e9:.2f}".removesuffix(".00") + " s"


def size(count_bytes: float) -> str:
    """Return bytes with a binary unit: 812 B, 3.4 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count_bytes < 1024:
            return f"{count_bytes:.0f} {unit}" if unit == "B" else f"{count_bytes:.1f} {unit}"
        count_bytes /= 1024
    return f"{count_bytes:.1f} TiB"


def share(part: float, whole: float) -> str:
    """Return the share of `part` in `whole` in percent: 0 %, < 0.1 %, 0.4 %, 44 %."""
    if not part or not whole:
        return "0 %"
    percent = 100 * part / whole
    if percent < 0.1:
        return "< 0.1 %"
    return f"{percent:.1f} %" if percent < 9.95 else f"{percent:.0f} %"


def rate(per_second: float) -> str:
    """Return a rate per second without its unit: 0.042, 3.1, 1,240."""
    return f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.3g}"


def plural(count: int, singular: str) -> str:
    """Return a count with its noun: 1 worker, 1,200 workers."""
    return f"{count:,} {singular}" if count == 1 else f"{count:,} {singular}s"
