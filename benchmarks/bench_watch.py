"""Whether `logship watch` reports each incident of a day once, its end once, and nothing else.

    python benchmarks/bench_watch.py [--seed 0] [--days 1] [--every 60] [--hours 24]

A generated day (benchmarks/incident_hours/day.py) has five incidents and five harmless changes. Its events go into an embedded
store as its clock advances, and a round of the watch runs every `--every` seconds of that clock. Prints for each incident when
it was reported, and its end; other notices, and the seconds of a round."""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.incident_hours.day import Day, Planted, make_day
from benchmarks.incident_hours.plan import SECOND
from benchmarks.incident_hours.score import right
from logship.forensics.incident import incident
from logship.forensics.watch.judge import judge
from logship.forensics.watch.memory import Memory, Notice
from logship.forensics.watch.window import window_of
from logship.search.query import Source
from logship.search.times import rfc3339
from logship.search.units import duration
from logship.store.read.reader import Reader
from logship.store.write.store import Store

# Events reach a store a few seconds after their time.
DELAY_NS = 10 * SECOND
AROUND_NS = 120 * SECOND


@dataclass(slots=True)
class Watched:
    """`notices` of a day, oldest first, and the seconds of each round."""

    notices: list[Notice] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def watched(day: Day, directory: Path, every_seconds: int) -> Watched:
    """Run the watch over a day, from its second hour to 10 minutes after its end."""
    result, memory, at = Watched(), Memory(), 0
    with Store(directory) as store:
        reader = Reader(directory)
        for now_ns in range(day.since_ns + 3600 * SECOND, day.until_ns, every_seconds * SECOND):
            stored = at
            while at < len(day.entries) and day.entries[at][0] < now_ns:
                at += 1
            store.append(day.entries[stored:at])
            began = time.perf_counter()
            memory, notices = one_round(reader, memory, now_ns - DELAY_NS)
            result.seconds.append(time.perf_counter() - began)
            result.notices += notices
            for notice in notices:
                print(f"  {rfc3339(now_ns)[11:19]} {notice.kind} {shown(notice)}", file=sys.stderr, flush=True)
        reader.close()
    return result


def one_round(source: Source, memory: Memory, now_ns: int) -> tuple[Memory, list[Notice]]:
    window, baseline = window_of(memory, now_ns)
    return judge(memory, incident(source, window, now_ns, baseline).findings, now_ns)


def shown(notice: Notice) -> str:
    return f"{notice.id} {notice.finding.kind}: {notice.finding.sentence[:130]}"


def about(planted: Planted, notice: Notice) -> bool:
    """Return whether a notice names the cause of an incident and its begin."""
    finding = notice.finding.as_json(1)
    near = planted.began_ns - AROUND_NS <= notice.began_ns <= planted.ended_ns + AROUND_NS
    return near and any(right(finding, accepted) for accepted in planted.accepted)


def print_day(day: Day, result: Watched) -> int:
    """Print the table of a day; return how many incidents were not reported once, plus the number of other notices."""
    print(f"{'incident':<26}{'began':>10}{'reported':>10}{'after':>14}{'ended':>10}{'end reported':>14}   notices")
    explained: set[str] = set()
    wrong = 0
    for planted in day.planted:
        own = [notice for notice in result.notices if about(planted, notice)]
        ids = {notice.id for notice in own}
        explained |= ids
        begins, ends = ([n for n in result.notices if n.id in ids and n.kind == kind] for kind in ("began", "ended"))
        told = clock(begins[0].at_ns) if begins else "never"
        after = duration(begins[0].at_ns + DELAY_NS - planted.began_ns) if begins else "-"
        end = clock(ends[0].at_ns) if ends else "never"
        print(
            f"{planted.kind + ' ' + planted.size:<26}{clock(planted.began_ns):>10}{told:>10}{after:>14}"
            f"{clock(planted.ended_ns):>10}{end:>14}   {len(begins)} + {len(ends)}"
        )
        wrong += (len(begins), len(ends)) != (1, 1)
    others = [notice for notice in result.notices if notice.id not in explained]
    print(f"other notices: {len(others)}; harmless changes of this day: {', '.join(day.quiet)}")
    for notice in others:
        print(f"  {clock(notice.at_ns)} {notice.kind} {shown(notice)}")
    return wrong + len(others)


def clock(ns: int) -> str:
    return rfc3339(ns)[11:19]


def print_rounds(seconds: Sequence[float], events: int) -> None:
    print(
        f"{len(seconds)} rounds, {events:,} events: median {statistics.median(seconds):.2f} s, most {max(seconds):.2f} s\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--every", type=int, default=60, metavar="SECONDS")
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--per-second", type=float, default=2.5)
    given = parser.parse_args()
    wrong = 0
    for seed in range(given.seed, given.seed + given.days):
        day = make_day(seed, given.hours, per_second=given.per_second)
        with tempfile.TemporaryDirectory(prefix="logship-bench-watch-") as scratch:
            result = watched(day, Path(scratch), given.every)
        print(f"day {seed}: {len(day.entries):,} events")
        wrong += print_day(day, result)
        print_rounds(result.seconds, len(day.entries))
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
