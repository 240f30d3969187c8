"""Make one hour with a planted incident, or a quiet one, to look at with logship's commands.

    python benchmarks/make_incident_hour.py slow_route --size small --seed 3 --store DIR
    python benchmarks/make_incident_hour.py bad_tenant > hour.ndjson

Ends now, or with `--usual` at some time of 2026-11-20. Its truth goes to stderr."""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.incident_hours.fill import fill_store, ndjson
from benchmarks.incident_hours.make import HALVES, KINDS, SIZES, make_hour


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--size", choices=SIZES, default="medium")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--half", choices=HALVES, default="tuning")
    parser.add_argument("--store", type=Path, help="write into the store in this directory, not to stdout")
    parser.add_argument("--usual", action="store_true", help="keep the time that the seed gives")
    given = parser.parse_args()
    hour = make_hour(given.kind, given.size, given.seed, given.half, None if given.usual else time.time_ns())
    if given.store is None:
        sys.stdout.buffer.writelines(ndjson(hour))
    else:
        fill_store(hour, given.store)
    truth = {"since_ns": hour.since_ns, "until_ns": hour.until_ns, "events": len(hour.entries), **asdict(hour.truth)}
    print(json.dumps(truth), file=sys.stderr)


if __name__ == "__main__":
    main()
