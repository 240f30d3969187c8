"""Whether `logship incident` names the cause of an hour: generated incidents with a sealed truth, and quiet hours.

    python benchmarks/bench_incident.py [--half tuning|judging] [--seeds 1] [--kind slow_route ...] [--size small]
                                        [--dir DIR] [--events 1000000] [--findings] [--json]

Each hour (benchmarks/incident_hours) is written into an embedded store and judged without a hint: no query, only the window.
A finding is right if its kind is accepted for the cause and it names the planted fields or the worker. Prints per kind how often
the cause is the first finding and among the first three, and how often it begins within 30 s of the truth; how many quiet
hours are accused; the seconds for one hour and for one with a million events; and what was said instead. `--dir` keeps the
hours and uses them again; `--findings` judges `logship findings`, the list without a baseline, for comparison."""

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.incident_hours.fill import fill_store
from benchmarks.incident_hours.make import HALVES, KINDS, SIZES, make_hour
from benchmarks.incident_hours.plan import Truth, truth_of
from benchmarks.incident_hours.score import Found, Score, score, within_start
from logship.forensics.standout import standout
from logship.search.query import Query
from logship.search.times import rfc3339
from logship.store.read.reader import Reader

TRUTH = "truth.json"
# The kinds of `logship findings` in the words of `logship incident`.
KIND_OF = {
    "worker-crashed": "death",
    "worker-slow": "slow",
    "worker-silent": "gap",
    "route-failing": "failing",
    "traffic-unbalanced": "imbalance",
    "events-dropped": "drops",
    "store-damaged": "gap",
    "loop-stalled": "stall",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """An hour in a store."""

    store: Path
    since_ns: int
    until_ns: int
    events: int
    truth: Truth


Judge = Callable[[Kept], list[Found]]


def kept_hour(directory: Path, kind: str, size: str, seed: int, half: str, **more: Any) -> Kept:
    """Return the hour in `directory`, made now if it is not there. Its truth is beside the store, not in it."""
    folder = directory / f"{half}-{kind}-{size}-{seed}"
    if not (folder / TRUTH).exists():
        hour = make_hour(kind, size, seed, half, **more)
        events = fill_store(hour, folder / "store")
        sealed = {"since_ns": hour.since_ns, "until_ns": hour.until_ns, "events": events, "truth": asdict(hour.truth)}
        (folder / TRUTH).write_text(json.dumps(sealed, indent=1))
    sealed = json.loads((folder / TRUTH).read_text())
    return Kept(folder / "store", sealed["since_ns"], sealed["until_ns"], sealed["events"], truth_of(sealed["truth"]))


def has_incident() -> bool:
    """Return whether this version of logship has the command; without it `logship findings` is judged."""
    return importlib.util.find_spec("logship.forensics.incident") is not None


def by_incident(kept: Kept) -> list[Found]:
    """Return the findings of `logship incident` for the window, with the baseline it chooses itself."""
    from logship.forensics.incident import incident_json

    reader = Reader(kept.store)
    try:
        return incident_json(reader, Query(None, kept.since_ns, kept.until_ns), kept.until_ns)["findings"]
    finally:
        reader.close()


def by_findings(kept: Kept) -> list[Found]:
    """Return the findings of `logship findings` in the same form."""
    reader = Reader(kept.store)
    try:
        found = standout(reader, Query(None, kept.since_ns, kept.until_ns), kept.until_ns).findings
    finally:
        reader.close()
    return [
        {
            "kind": KIND_OF.get(one.kind, one.kind), "sentence": one.sentence, "worker": one.worker, "fields": dict(one.fields),
            "began": None if one.since_ns is None else [one.since_ns, one.since_ns],
        }
        for one in found
    ]  # fmt: skip


def by_command(kept: Kept) -> list[Found]:
    """Return the findings that the command prints."""
    command = [sys.executable, "-m", "logship", "incident", "--source", str(kept.store), "--json"]
    times = ["--since", rfc3339(kept.since_ns), "--until", rfc3339(kept.until_ns)]
    done = subprocess.run([*command, *times], capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    findings: list[Found] = json.loads(done.stdout)["findings"]
    return findings


def judged(kept: Kept, judge: Judge) -> Score:
    began = time.perf_counter()
    findings = judge(kept)
    seconds = time.perf_counter() - began
    return replace(score(kept.truth, findings), seconds=seconds, events=kept.events)


def scores(given: argparse.Namespace, directory: Path, judge: Judge) -> Iterator[Score]:
    for kind in given.kind or KINDS:
        for size in given.size or SIZES:
            for seed in range(given.seeds):
                kept = kept_hour(directory, kind, size, seed, given.half)
                result = judged(kept, judge)
                if not given.json:
                    told = f"{kind} {size} {seed}"
                    print(f"{told:<42} rank {result.rank}   {result.said[:120]}", file=sys.stderr, flush=True)
                yield result


def part(hits: Sequence[bool]) -> float | None:
    return sum(hits) / len(hits) if hits else None


def totals(every: Sequence[Score]) -> dict[str, Any]:
    """Return the figures of all incidents and of all quiet hours."""
    causes, quiet = [one for one in every if not one.quiet], [one for one in every if one.quiet]
    named = [one for one in causes if one.rank]
    return {
        "incidents": len(causes),
        "first": part([one.rank == 1 for one in causes]),
        "among_three": part([1 <= one.rank <= 3 for one in causes]),
        "start_within_30s": part([within_start(one) for one in named]),
        "quiet": len(quiet),
        "accused": part([one.findings > 0 for one in quiet]),
        "seconds_median": statistics.median(one.seconds for one in every),
        "seconds_most": max(one.seconds for one in every),
        "events_median": statistics.median(one.events for one in every),
    }


def shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def print_tables(every: Sequence[Score]) -> None:
    print(f"\n{'kind':<28}{'hours':>6}{'first':>8}{'top 3':>8}{'clear':>8}{'medium':>8}{'small':>8}{'start':>8}")
    for kind in dict.fromkeys(one.kind for one in every if not one.quiet):
        own = [one for one in every if one.kind == kind]
        sizes = [part([1 <= one.rank <= 3 for one in own if one.size == size]) for size in SIZES]
        columns = [part([one.rank == 1 for one in own]), part([1 <= one.rank <= 3 for one in own]), *sizes]
        columns.append(part([within_start(one) for one in own if one.rank]))
        print(f"{kind:<28}{len(own):>6}" + "".join(f"{shown(column):>8}" for column in columns))
    print(f"\n{'quiet kind':<28}{'hours':>6}{'accused':>9}   by")
    for kind in dict.fromkeys(one.kind for one in every if one.quiet):
        own = [one for one in every if one.kind == kind]
        by = "; ".join(dict.fromkeys(one.said for one in own if one.findings))
        print(f"{kind:<28}{len(own):>6}{shown(part([one.findings > 0 for one in own])):>9}   {by[:100]}")
    print("\nsaid instead")
    for one in every:
        if not one.quiet and not 1 <= one.rank <= 3:
            print(f"  {one.kind + ' ' + one.size:<36}{one.said[:110] or 'nothing'}")


def print_totals(figures: dict[str, Any]) -> None:
    print(
        f"\n{figures['incidents']} incidents: cause first {shown(figures['first'])}, "
        f"among three {shown(figures['among_three'])}, start within 30 s {shown(figures['start_within_30s'])}\n"
        f"{figures['quiet']} quiet hours: accused {shown(figures['accused'])}\n"
        f"seconds per hour: median {figures['seconds_median']:.2f}, most {figures['seconds_most']:.2f} "
        f"({figures['events_median']:,.0f} events)"
    )
    if "large_seconds" in figures:
        print(f"hour of {figures['large_events']:,} events: {figures['large_seconds']:.2f} s")


def large(given: argparse.Namespace, directory: Path, judge: Judge) -> dict[str, Any]:
    """Return the seconds of an hour with about `--events` events; the second run, with warm files."""
    per_second = given.events / (120 * 60 * 1.57)  # of the seed below: two hours, and log lines beside the requests
    kept = kept_hour(directory, "slow_route", "clear", 900_000 + given.events % 9_973, given.half, per_second=per_second)
    times = [judged(kept, judge).seconds for _ in range(2)]
    return {"large_events": kept.events, "large_seconds": times[-1]}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=HALVES, default="tuning")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--kind", choices=list(KINDS), action="append")
    parser.add_argument("--size", choices=SIZES, action="append")
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--events", type=int, default=0)
    parser.add_argument("--findings", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> None:
    given = options()
    judge: Judge = by_incident if has_incident() and not given.findings else by_findings
    with tempfile.TemporaryDirectory(prefix="logship-bench-incident-") as scratch:
        directory = given.dir or Path(scratch)
        every = list(scores(given, directory, judge))
        figures = totals(every) | (large(given, directory, judge) if given.events else {})
    if given.json:
        print(json.dumps({"totals": figures, "hours": [asdict(one) for one in every]}))
        return
    print_tables(every)
    print_totals(figures)


if __name__ == "__main__":
    main()
