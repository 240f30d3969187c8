"""Measure the cost of one log call for its caller and for the threads behind it.

python benchmarks/bench_log.py [--quick]"""

import argparse

from calls import VARIANTS
from machine import Looper, median, scratch, sink, table
from served import use_load_core

CALLS = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the cost of one log call.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = 5 if parser.parse_args().quick else 21
    use_load_core()
    with scratch() as folder, sink() as port:
        loopers = [Looper(variant, ["calls.py", variant], folder, port) for variant in VARIANTS]
        try:
            for looper in loopers:
                looper.turn(CALLS, keep=False)
            for turn in range(rounds):
                for looper in loopers if turn % 2 else loopers[::-1]:
                    looper.turn(CALLS)
        finally:
            for looper in loopers:
                looper.close()
    base = median(next(looper for looper in loopers if looper.name == "file").column(0))
    rows = []
    for looper in loopers:
        caller, threads = median(looper.column(0)), median(looper.column(1))
        least = min(looper.column(0))
        rows.append([VARIANTS[looper.name][0], *(f"{one:.2f}" for one in (caller, least, threads, caller / base))])
    columns = ["us of CPU per call, with two fields", "caller", "least", "threads", "caller, of FileHandler"]
    table("One log call of an application, outside of a request", columns, rows)


if __name__ == "__main__":
    main()
